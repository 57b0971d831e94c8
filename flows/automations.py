"""Automations as code: `python -m flows.automations`, after `prefect deploy --all`, makes or updates them by name.

The open-source server has what they need: events and their absence, running a deployment, setting a run's state.
Where a notice goes is the business of the deployment `notify`, which they run.
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
_BEAT = "prefect.flow-run.heartbeat"


def automations(deployments: Mapping[str, UUID]) -> Iterator[AutomationCore]:
    """All of them, given the deployments' ids."""

    def of(name: str, description: str, trigger: dict[str, Any], *actions: dict[str, Any]) -> AutomationCore:
        named = {"name": f"animeverse: {name}", "description": description}
        return AutomationCore.model_validate({**named, "trigger": {"type": "event", **trigger}, "actions": actions})

    def run(name: str, **more: Any) -> dict[str, Any]:
        return {"type": "run-deployment", "deployment_id": deployments[name], **more}

    def notify(**texts: str) -> dict[str, Any]:
        return run("notify", parameters={key: {"__prefect_kind": "jinja", "template": texts[key]} for key in texts})

    crashed = "No heartbeat: its process died, and nobody reported it."
    yield of(
        "a run died with its worker",
        "No heartbeat for 90 s: the run is marked as crashed, so that it looks like what it is.",
        {
            **{"match": _RUNS, "match_related": _tag("animeverse"), "for_each": ["prefect.resource.id"]},
            **{"after": [_BEAT], "expect": [_BEAT, *(f"prefect.flow-run.{end}" for end in _ENDS)]},
            **{"posture": "Proactive", "within": 90},
        },
        {"type": "change-flow-run-state", "state": "CRASHED", "message": crashed},
    )
    yield of(
        "restart the micro-batch",
        "The pipeline goes on where the crashed run stopped: nothing is lost and nothing comes twice.",
        {
            **{"match": _RUNS, "match_related": _deployment(deployments["micro-batch"])},
            **{"expect": ["prefect.flow-run.Crashed"], "within": 30},  # a crash is reported twice, seconds apart
        },
        run("micro-batch", schedule_after=5),
        notify(subject="micro-batch is restarted", body="{{ flow_run.name }} crashed: {{ flow_run.state.message }}"),
    )
    yield of(
        "a layer stopped",
        "No retry helps: somebody has to do what the message says.",
        {"match": _RUNS, "match_related": _tag("pipeline"), "expect": ["prefect.flow-run.Failed"]},
        notify(subject="{{ flow.name }} failed", body="{{ flow_run.state.message }}"),
    )
    yield of(
        "a promise is broken",
        "A check of `animeverse verify` failed.",
        {"match": _LAKEHOUSE, "expect": [BROKEN]},
        notify(subject="A promise is broken", body="{{ event.payload.failed | join('; ') }}"),
    )
    yield of(
        "gold is not fresh",
        "For two minutes no look at the loop found it within ANIMEVERSE_FRESHNESS_TARGET, or there was no loop.",
        {"match": _LAKEHOUSE, "after": [FRESH], "expect": [FRESH], "posture": "Proactive", "within": 120},
        notify(subject="Gold is not fresh", body="Is micro-batch running? How does `animeverse status` put the lag?"),
    )


def _tag(name: str) -> dict[str, Any]:
    """Runs of deployments with a tag."""
    return {"prefect.resource.id": f"prefect.tag.{name}", "prefect.resource.role": "tag"}


def _deployment(id_: UUID) -> dict[str, Any]:
    """Runs of one deployment."""
    return {"prefect.resource.id": f"prefect.deployment.{id_}", "prefect.resource.role": "deployment"}


async def apply(client: PrefectClient) -> list[str]:
    """Make what is missing, update what is there; their names. Raises ObjectNotFound before `prefect deploy --all`."""
    names = ("notify", "micro-batch")
    ids = {name: (await client.read_deployment_by_name(f"{name}/{name}")).id for name in names}
    made = []
    for automation in automations(ids):
        there = await client.read_automations_by_name(automation.name)
        for old in there[:1]:
            await client.update_automation(old.id, automation)
        if not there:
            await client.create_automation(automation)
        made.append(automation.name)
    return made


async def main() -> None:
    """For the command line."""
    async with get_client() as client:
        for name in await apply(client):
            print(name)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
