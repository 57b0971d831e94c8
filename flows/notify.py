"""Send a notice. The automations of `flows.automations` run this flow."""

import asyncio
import json
import urllib.request
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.variables import Variable

from flows import artifacts
from pipelines.config.settings import load_settings

WEBHOOK = "animeverse_webhook"  # Prefect variable with the URL that notices are sent to
FILE = "notices.ndjson"


@flow(name="notify")
async def notify(subject: str, body: str = "") -> None:
    """Log a notice, append it to `<home>/notices.ndjson`, and send it to the webhook if the variable is set.

    Args:
        subject: what has happened, in one line
        body: details, and what to do
    """
    notice = {"at": datetime.now(UTC).isoformat(), "subject": subject, "body": body}
    get_run_logger().warning("%s\n%s", subject, body)
    with (load_settings().home / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(notice, ensure_ascii=False) + "\n")
    await artifacts.show_text("notice", f"**{subject}**\n\n{body}", subject)
    url = await Variable.aget(WEBHOOK)
    if url:
        await send(str(url), notice)


@task(retries=3, retry_delay_seconds=[2, 10, 30], task_run_name="webhook")
async def send(url: str, notice: dict[str, str]) -> None:
    """POST the notice as JSON. Slack and Mattermost show the field `text`. Raises ValueError for a wrong URL."""
    content = json.dumps({**notice, "text": f"{notice['subject']}\n{notice['body']}"}).encode()
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the Prefect variable {WEBHOOK} is not an http or https URL")
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})  # noqa: S310
    await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).close())  # noqa: S310
