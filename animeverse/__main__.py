"""`python -m animeverse` and the command `animeverse`: the command line, and a quick end of its process."""

import atexit
import contextlib
import os
import sys


class _Leaving:
    """The end of the process, by the exit handler that runs last: what Python would then take apart object by object
    for 0.2 to 0.4 s, the system takes back at once. Threads have ended by then, and handlers of libraries have run.
    """

    code = 1  # of whatever ends us without saying so: the traceback is printed already

    def __call__(self) -> None:
        """Write what is left to be written, and end."""
        try:
            self._flush()
        finally:
            os._exit(self.code)

    def _flush(self) -> None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            pass  # whoever read us has enough
        except (OSError, ValueError) as error:
            self.code = self.code or 1
            with contextlib.suppress(OSError, ValueError):
                print(f"animeverse: writing the output: {error}", file=sys.stderr)  # noqa: T201
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


def main() -> None:
    """Run the command and end the process; nobody calls this but the process itself."""
    leaving = _Leaving()
    # Nothing has registered before us; what has, such as a tracer, wants its handler to run, too.
    if not getattr(atexit, "_ncallbacks", lambda: 0)():
        atexit.register(leaving)
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    from animeverse.cli.main import main as run_command

    try:
        run_command()
        leaving.code = 0
    except SystemExit as ended:
        leaving.code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    except KeyboardInterrupt:
        leaving.code = 130
        raise


if __name__ == "__main__":
    main()
