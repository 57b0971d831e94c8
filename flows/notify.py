"""What an automation has to say, to where people look: run by the automations of `flows.automations`."""

import asyncio
import json
import urllib.request
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.variables import Variable

from flows import artifacts as story
from pipelines.config.settings import load_settings

WEBHOOK = "animeverse_webhook"  # a Prefect variable: where notices are sent; unset: nowhere
FILE = "notices.ndjson"


@flow(name="notify")
async def notify(subject: str, body: str = "") -> None:
    """Log a notice, add it to `<home>/notices.ndjson`, and send it to the webhook if the variable names one.

    Args:
        subject: what has happened, in a line
        body: what is known of it, and what to do
    """
    notice = {"at": datetime.now(UTC).isoformat(), "subject": subject, "body": body}
    get_run_logger().warning("%s\n%s", subject, body)
    with (load_settings().home / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(notice, ensure_ascii=False) + "\n")
    await story.text("notice", f"**{subject}**\n\n{body}", subject)
    url = await Variable.aget(WEBHOOK)
    if url:
        await send(str(url), notice)


@task(retries=3, retry_delay_seconds=[2, 10, 30], task_run_name="webhook")
async def send(url: str, notice: dict[str, str]) -> None:
    """POST the notice as JSON; `text` is what Slack, Mattermost and the like show."""
    content = json.dumps({**notice, "text": f"{notice['subject']}\n{notice['body']}"}).encode()
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the Prefect variable {WEBHOOK} is no http(s) address")
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})  # noqa: S310
    await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).close())  # noqa: S310
