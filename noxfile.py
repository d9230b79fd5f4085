# /// script
# requires-python = ">=3.11"
# dependencies = ["nox"]
# ///
"""The chores of this repository, each by one line: `python3 noxfile.py -s tests`.

Nothing but Python 3.11 and pip is needed: run as a script, this file fetches nox and uv into `.nox/_tools`, a folder
that pip may write to even where the system's own packages are off limits (PEP 668). `nox -s tests` and
`uv run noxfile.py -s tests` do the same for those who have the tools.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = ("-c", str(HERE / "constraints.txt"))


def fetch_nox() -> None:
    """Install nox beside the sessions it will make, and import it from there in this process only.

    PYTHONPATH would do as well, but the sessions would inherit it and find nox's libraries before their own.
    """
    tools, pins = HERE / ".nox" / "_tools", (HERE / "constraints.txt").read_text(encoding="utf-8")
    stamp = tools / "constraints.txt"  # written last: says that all is there, and of which versions
    sys.path.insert(0, str(tools))
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == pins:
        return
    print("noxfile.py: fetching nox into .nox/_tools", file=sys.stderr)  # noqa: T201  it takes seconds: say why
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore"]
    pip += [*PINS, "--upgrade", "--target", str(tools), "nox[uv]>=2025.5.1"]
    if subprocess.run(pip, check=False).returncode:  # noqa: S603  every word of it stands above
        sys.exit("noxfile.py: pip could not fetch nox; its message above says why")
    stamp.write_text(pins, encoding="utf-8")
    importlib.invalidate_caches()  # the folder may have been looked into before it was filled


try:
    import nox
except ModuleNotFoundError:
    if __name__ != "__main__":
        raise
    fetch_nox()
    import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "types", "docs"]
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")  # a missing interpreter is an error, not a download
os.environ.setdefault("UV_SYSTEM_CERTS", "true")  # trust whom pip trusts, or uv fails behind a proxy where pip works

PROJECT = nox.project.load_toml(HERE / "pyproject.toml")
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUNTIME: list[str] = [
    *PROJECT["project"]["dependencies"],
    *(wanted for extra in ("cli", "storage", "dbos", "webhooks", "mcp", "otel") for wanted in EXTRAS[extra]),
]
PROMISED = nox.project.python_versions(PROJECT)
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
INSTALLED = {"PYTHONSAFEPATH": "1"}  # keeps the checkout off sys.path, so that only the installed package is found


@contextlib.contextmanager
def bounded(*, minutes: int) -> Iterator[None]:
    """Interrupt nox, and what it runs, if the session takes longer: nothing may hang."""
    timer = threading.Timer(minutes * 60, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def group(*names: str) -> tuple[str, ...]:
    """Name what these dependency groups of the project file ask for."""
    return nox.project.dependency_groups(PROJECT, *names)


def install_wheel(session: nox.Session) -> str:
    """Build the wheel and install it without its dependencies, as users get it; return the folder it lies in."""
    session.install(*PINS, "hatchling")
    with tempfile.TemporaryDirectory() as folder:
        session.run("hatchling", "build", "-t", "wheel", "-d", folder, silent=True)
        session.install("--no-deps", "--force-reinstall", *map(str, Path(folder).glob("*.whl")))
    where = "import kling_async, pathlib; print(pathlib.Path(kling_async.__file__).parent)"
    found = str(session.run("python", "-c", where, env=INSTALLED, silent=True)).strip()
    if Path(found).resolve() == HERE / "kling_async":
        session.error(f"the checkout would be used instead of the installed package: {found}")
    return found


TESTS = ("-m", "pytest", "-n4", "--dist=worksteal")


@nox.session
@bounded(minutes=40)
def tests(session: nox.Session) -> None:
    """Run the tests against the built wheel; what follows `--` goes to pytest."""
    session.install(*PINS, *RUNTIME, *group("test"))
    install_wheel(session)
    session.run("python", *TESTS, *session.posargs, env=INSTALLED)


@nox.session
@bounded(minutes=60)
def coverage(session: nox.Session) -> None:
    """Run the tests with branch coverage, which triples their CPU time."""
    session.install(*PINS, *RUNTIME, *group("test"))
    package = install_wheel(session)  # its folder, as the name means the checkout here
    measure = ("python", "-m", "coverage")
    session.run(*measure, "erase")
    session.run(*measure, "run", f"--source={package}", *TESTS, *session.posargs, env=INSTALLED)
    session.run(*measure, "combine", "--quiet")
    session.run(*measure, "report")


@nox.session(venv_backend="uv", reuse_venv=False)
@bounded(minutes=40)
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that the project file allows."""
    session.install("--resolution=lowest-direct", *RUNTIME)
    session.install(*group("test"))
    install_wheel(session)
    session.run("python", *TESTS, *session.posargs, env=INSTALLED)


def pythons_here() -> tuple[list[str], str]:
    """Find the versions from the oldest promised one up that this machine has, and the PATH on which they are.

    pyenv keeps a shim on the PATH for each version that it has installed, but one that is not activated does not start.
    So the versions' own folders go first.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    path = os.pathsep.join([*map(str, sorted(pyenv.glob("versions/3.*/bin"))), os.environ.get("PATH", "")])
    oldest = int(PROMISED[0].partition(".")[2])
    versions = (f"3.{minor}" for minor in range(oldest, oldest + 20))
    return [one for one in versions if one == RUNNING or starts(shutil.which(f"python{one}", path=path))], path


def starts(program: str | None) -> bool:
    """Tell whether a Python starts."""
    return program is not None and not subprocess.run([program, "-c", ""], check=False, capture_output=True).returncode  # noqa: S603


@nox.session(venv_backend="none")
@bounded(minutes=180)
def pythons(session: nox.Session) -> None:
    """Run the tests on every Python from the oldest promised one up that this machine has."""
    found, path = pythons_here()
    missing = [version for version in PROMISED if version not in found]
    session.log(f"Pythons found: {', '.join(found) or 'none'}; promised and not found: {', '.join(missing) or 'none'}")
    if not found:
        session.error(f"no Python {PROMISED[0]} or newer")
    failed = list[str]()
    for version in found:
        chosen = [] if version == RUNNING else ["--force-python", version, "--error-on-missing-interpreters"]
        try:
            session.run(sys.executable, __file__, "-s", "tests", *chosen, "--", *session.posargs, env={"PATH": path})
        except nox.command.CommandFailed:
            failed.append(version)
    if failed:
        session.error(f"the tests failed on Python {', '.join(failed)}")


@nox.session
@bounded(minutes=60)
def faults(session: nox.Session) -> None:
    """Run the whole fault matrix, also what takes long, against the built wheel; what follows `--` goes to pytest."""
    session.install(*PINS, *RUNTIME, *group("test"))
    install_wheel(session)
    everything = ("-m", "long or not long")
    places = ("tests/faults", "tests/machines")
    session.run("python", "-m", "pytest", "-q", *places, *everything, *session.posargs, env=INSTALLED)


@nox.session
@bounded(minutes=20)
def browser(session: nox.Session) -> None:
    """Look at reports, the sandbox and the built pages in Chromium; without it the tests say that they were skipped."""
    session.install(*PINS, *RUNTIME, *group("test", "browser", "docs"))
    install_wheel(session)
    session.run("python", "-m", "pytest", "-q", "tests/browser", *session.posargs, env=INSTALLED)


@nox.session
@bounded(minutes=10)
def notebook(session: nox.Session) -> None:
    """Run cells in a real kernel, as a notebook does, and look at what they show."""
    session.install(*PINS, *RUNTIME, *group("test", "notebook"))
    install_wheel(session)
    session.run("python", "-m", "pytest", "-q", "tests/notebooks", *session.posargs, env=INSTALLED)


@nox.session
@bounded(minutes=10)
def clients(session: nox.Session) -> None:
    """Run the vendors' own client libraries, unmodified but for their address, against the sandbox."""
    session.install(*PINS, *RUNTIME, *group("test", "clients"))
    install_wheel(session)
    session.run("python", "-m", "pytest", "-q", "tests/clients", *session.posargs, env=INSTALLED)


@nox.session
@bounded(minutes=10)
def screenshots(session: nox.Session) -> None:
    """Take the documentation's pictures of a report and a live page again, with the Chromium of this machine."""
    session.install(*PINS, *RUNTIME, *group("browser"))
    install_wheel(session)
    session.run("python", "docs/screenshots.py", *session.posargs, env=INSTALLED)


@nox.session
@bounded(minutes=5)
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff; `-- --fix` repairs what it can."""
    session.install(*PINS, *group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", *([] if session.posargs else ["--check"]))


@nox.session
@bounded(minutes=10)
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright, both strict: the package, the programs of the pages, and their fragments."""
    session.install(*PINS, *RUNTIME, *group("test", "types"), "nox", "pyright[nodejs]")
    session.run("python", "docs/fragments.py", "docs/_build/fragments", env={"PYTHONPATH": str(HERE)})
    session.run("mypy")
    session.run("mypy", "docs/_build/fragments", "docs/examples/new_provider.py")
    session.run("pyright")


@nox.session
@bounded(minutes=10)
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; a warning is an error. Run the example that needs pandas."""
    session.install(*PINS, *RUNTIME, *group("docs", "test"))
    install_wheel(session)
    options = ("-q", "-W", "--keep-going", "-b", "html")
    session.run("sphinx-build", *options, "docs", "docs/_build/html", *session.posargs, env=INSTALLED)
    session.run("python", "-m", "pytest", "-q", "tests/docs/test_examples.py", "-k", "pandas", env=INSTALLED)


@nox.session
@bounded(minutes=10)
def demo(session: nox.Session) -> None:
    """Generate images and videos with the built-in sandbox: no key, no cost. Files land in ./kling-demo."""
    session.install(*PINS, *RUNTIME)
    install_wheel(session)
    session.run("kling-async", "demo", *session.posargs)


@nox.session
@bounded(minutes=90)
def bench(session: nox.Session) -> None:
    """Measure all there is, and write docs/reference/benchmarks; `-- --quick` asserts counts only.

    The SDKs that polls are compared with are not installed for that: they are many, and it would only count polls.
    """
    quick = "--quick" in session.posargs
    session.install(*PINS, *RUNTIME, *group("bench", "browser", "test", *([] if quick else ["peers"])))
    install_wheel(session)
    if quick:
        session.run("python", "benchmarks/polling.py", "--quick", env=INSTALLED)
        session.run("python", "benchmarks/peers.py", "--quick", env=INSTALLED)
        session.run("python", "benchmarks/scheduler.py", *session.posargs, env=INSTALLED)
        session.run("python", "benchmarks/journal.py", "--quick", env=INSTALLED)
        session.run("python", "benchmarks/machines.py", "--quick", env=INSTALLED)
        return
    results = Path(session.create_tmp())
    for name in ("peers", "polling", "scheduler", "journal", "machines", "report", "live_page", "agents", "storage"):
        session.run("python", f"benchmarks/{name}.py", "--json", str(results / f"{name}.json"), env=INSTALLED)
    session.run("python", "benchmarks/page.py", str(results), "docs/reference/benchmarks", env=INSTALLED)


@nox.session
@bounded(minutes=5)
def build(session: nox.Session) -> None:
    """Build sdist and wheel into dist/ and look at what they hold."""
    session.install(*PINS, "hatchling")
    session.run("hatchling", "build", "--clean", "-d", "dist")
    [wheel], [sdist] = HERE.glob("dist/*.whl"), HERE.glob("dist/*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as archive:
        source = [name.partition("/")[2] for name in archive.getnames()]
    stray = [name for name in names if not name.startswith(("kling_async/", "kling_async-"))]
    wanted = (
        *("kling_async/py.typed", "kling_async/runs/report/page.html", "kling_async/cli/SKILL.md"),
        "kling_async/testing/sandbox/clip.mp4",
    )
    missing = [name for name in wanted if name not in names or name not in source]
    missing += [name for name in ("LICENSE", "README.md", "noxfile.py", "constraints.txt") if name not in source]
    if stray or missing:
        session.error(f"the wheel holds what it should not: {stray}; wheel or sdist lack: {missing}")
    session.log(f"{wheel.name}: {len(names)} files; {sdist.name}: {len(source)} files")


if __name__ == "__main__":
    sys.argv[1:1] = ["--noxfile", __file__]  # from whatever folder it is called
    nox.main()
