"""Automations as code: `python -m flows.automations`, after `prefect deploy --all`, creates or updates them by name.

They use triggers and actions of the open-source server only. Notices are sent by the deployment `notify`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore

from flows.continuous import FRESH, LAKEHOUSE
from flows.verify_promises import BROKEN

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_LAKEHOUSE = {"prefect.resource.id": LAKEHOUSE["prefect.resource.id"]}
_ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Suspended", "Paused")
_HEARTBEAT = "prefect.flow-run.heartbeat"


def automations(deployments: Mapping[str, UUID]) -> Iterator[AutomationCore]:
    """Yield all automations, given the ids of the deployments."""

    def automation(name: str, description: str, trigger: dict[str, Any], *actions: dict[str, Any]) -> AutomationCore:
        base = {"name": f"animeverse: {name}", "description": description}
        return AutomationCore.model_validate({**base, "trigger": {"type": "event", **trigger}, "actions": actions})

    def run(name: str, **more: Any) -> dict[str, Any]:
        return {"type": "run-deployment", "deployment_id": deployments[name], **more}

    def notify(**texts: str) -> dict[str, Any]:
        return run("notify", parameters={key: {"__prefect_kind": "jinja", "template": texts[key]} for key in texts})

    crashed = "No heartbeat: the process of the run has ended without a report."
    yield automation(
        "a run died with its worker",
        "Marks a run without a heartbeat for 90 s as crashed.",
        {
            **{"match": _RUNS, "match_related": _tag("animeverse"), "for_each": ["prefect.resource.id"]},
            **{"after": [_HEARTBEAT], "expect": [_HEARTBEAT, *(f"prefect.flow-run.{end}" for end in _ENDS)]},
            **{"posture": "Proactive", "within": 90},
        },
        {"type": "change-flow-run-state", "state": "CRASHED", "message": crashed},
    )
    yield automation(
        "restart the micro-batch",
        "Starts the loop again after a crash. It continues at the last commit: no record is lost or counted twice.",
        {
            **{"match": _RUNS, "match_related": _deployment(deployments["micro-batch"])},
            **{"expect": ["prefect.flow-run.Crashed"], "within": 30},  # Prefect reports a crash twice, seconds apart
        },
        run("micro-batch", schedule_after=5),
        notify(subject="micro-batch is restarted", body="{{ flow_run.name }} crashed: {{ flow_run.state.message }}"),
    )
    yield automation(
        "a layer stopped",
        "A flow of the pipeline failed and retries do not help. The message says what to do.",
        {"match": _RUNS, "match_related": _tag("pipeline"), "expect": ["prefect.flow-run.Failed"]},
        notify(subject="{{ flow.name }} failed", body="{{ flow_run.state.message }}"),
    )
    yield automation(
        "a promise is broken",
        "A check of `animeverse verify` failed.",
        {"match": _LAKEHOUSE, "expect": [BROKEN]},
        notify(subject="A promise is broken", body="{{ event.payload.failed | join('; ') }}"),
    )
    yield automation(
        "gold is not fresh",
        "Gold was not within ANIMEVERSE_FRESHNESS_TARGET for two minutes, or no loop was running.",
        {"match": _LAKEHOUSE, "after": [FRESH], "expect": [FRESH], "posture": "Proactive", "within": 120},
        notify(subject="Gold is not fresh", body="Is micro-batch running? See the lag in `animeverse status`."),
    )


def _tag(name: str) -> dict[str, Any]:
    """Match the runs of deployments with a tag."""
    return {"prefect.resource.id": f"prefect.tag.{name}", "prefect.resource.role": "tag"}


def _deployment(id_: UUID) -> dict[str, Any]:
    """Match the runs of one deployment."""
    return {"prefect.resource.id": f"prefect.deployment.{id_}", "prefect.resource.role": "deployment"}


async def apply(client: PrefectClient) -> list[str]:
    """Create or update all automations and return their names. Raises ObjectNotFound before `prefect deploy --all`."""
    names = ("notify", "micro-batch")
    ids = {name: (await client.read_deployment_by_name(f"{name}/{name}")).id for name in names}
    applied = []
    for automation in automations(ids):
        existing = await client.read_automations_by_name(automation.name)
        if existing:
            await client.update_automation(existing[0].id, automation)
        else:
            await client.create_automation(automation)
        applied.append(automation.name)
    return applied


async def main() -> None:
    """Apply the automations to the server of PREFECT_API_URL, and print their names."""
    async with get_client() as client:
        for name in await apply(client):
            print(name)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
