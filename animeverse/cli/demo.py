"""The command `demo`: create a filled lakehouse, prove it and show it (R49)."""

from typing import Annotated

import typer

from animeverse.cli.app import app
from animeverse.cli.options import examples, settings_of


@app.command(
    epilog=examples("animeverse demo", "animeverse demo --events 50000 --days 14 --seed 7", "animeverse demo --fresh")
)
def demo(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=1, help="Number of events, including master data.")] = 200_000,
    days: Annotated[int, typer.Option(min=1, help="Number of days up to now.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed generates the same events.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="First delete the home that a demo created.")] = False,
) -> None:
    """Create a lakehouse with sample data and show it.

    Produces a history with late, duplicate and invalid events, runs all layers, verifies the result and prints the
    numbers. After an interruption the same command continues. A home that already holds a lakehouse is only verified
    and shown.
    """
    from animeverse.signals import stop_on_signals

    settings = settings_of(context)
    with stop_on_signals("stopping; the same command continues from here") as stop:
        from animeverse.services.demo import DemoWorld, create, delete, needs_history
        from animeverse.terminal import console
        from animeverse.terminal.demo import Steps, print_demo
        from pipelines.operations.verify import verify
        from warehouse.verify import gold_checks

        if fresh:
            delete(settings)
        steps = Steps()
        if needs_history(settings):
            report = create(settings, DemoWorld(events, days, seed), steps.step, stop)
            if report is not None:
                steps.add_layers(report)
        else:
            console.say(f"{settings.home} already holds a lakehouse; `animeverse demo --fresh` starts over")
        if stop.is_set():
            console.say("the same command continues from here")
            return
        with steps.step("verifying"):
            checks = verify(settings, gold_checks=gold_checks)
        is_proved = print_demo(settings, checks, steps)
    raise typer.Exit(0 if is_proved else 1)
