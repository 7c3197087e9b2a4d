"""Installed beside somebody's suite, nnet-parity changes nothing there until it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mine

ROOT = Path(__file__).parents[2]
WITH_US = ("-p", "nnet_parity.plugin")


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite that knows nothing of ours, in processes of their own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("NNET_PARITY_DEVICES", raising=False)
    return pytester


def test_a_foreign_file_called_test_speed_is_run(suite: pytest.Pytester) -> None:
    """A red suite stays red, also where its own fixture is called `raced`."""
    suite.makepyfile(
        test_speed="""
        import pytest
        @pytest.fixture
        def raced(): return 1
        def test_one(raced): assert raced == 2
        def test_two(): assert False
        """
    )
    suite.runpytest_inprocess(*WITH_US).assert_outcomes(failed=2)


def test_options_of_a_foreign_conftest_are_theirs(suite: pytest.Pytester) -> None:
    """Whatever they are called."""
    names = ("device", "require-device", "speed", "starts", "baseline", "report-dir")
    adds = "\n".join(f"    parser.addoption('--{name}', action='store_true')" for name in names)
    suite.makeconftest(f"def pytest_addoption(parser):\n{adds}\n")
    suite.makepyfile("def test_it(pytestconfig): assert pytestconfig.getoption('--device')")
    suite.runpytest_inprocess(*WITH_US, *(f"--{name}" for name in names)).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "old",
    [["--device", "cuda"], ["--speed", "--r=live"], ["--no-r"]],
    ids=["one", "two", "of run.py"],
)
def test_an_old_name_of_an_option_is_explained(
    suite: pytest.Pytester, old: list[str], approved: Any
) -> None:
    """In one sentence under pytest's complaint."""
    suite.makepyfile("def test_it(): pass")
    result = suite.runpytest_inprocess(*WITH_US, *old)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    approved(line for line in result.errlines if "nnet-parity" in line or "unrecognized" in line)


def test_an_old_name_that_somebody_owns_is_not_explained(suite: pytest.Pytester) -> None:
    """Though pytest complains of another option."""
    suite.makeconftest("def pytest_addoption(parser): parser.addoption('--device')\n")
    result = suite.runpytest_inprocess(*WITH_US, "--device", "cuda", "--no-such-option")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "nnet-parity" not in result.stderr.str()


def test_the_old_name_in_an_ini_file_is_explained(suite: pytest.Pytester, approved: Any) -> None:
    """A usage error, and no devices that nobody asked for."""
    suite.makeini("[pytest]\nnnet_parity_devices = cpu\n")
    result = suite.runpytest_inprocess(*WITH_US)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    approved(line for line in result.errlines if line)


INSTALLED = ("harness", "reference", "numpy", "scipy", "torch", "jinja2", "matplotlib")


def test_a_foreign_run_imports_nothing_of_ours(suite: pytest.Pytester) -> None:
    """Nothing is printed and written either."""
    suite.makepyfile(f"import sys\ndef test_it(): assert not {set(INSTALLED)!r} & set(sys.modules)")
    result = suite.runpytest_subprocess(*WITH_US)
    result.assert_outcomes(passed=1)
    assert "nnet-parity ==" not in result.stdout.str()
    assert not (suite.path / "build").exists()


def test_the_module_of_a_foreign_harness_is_theirs(suite: pytest.Pytester) -> None:
    """Their package, and ours is never in its way."""
    (suite.path / "harness").mkdir()
    (suite.path / "harness" / "__init__.py").write_text("theirs = True\n")
    suite.makepyfile("import harness\ndef test_it(): assert harness.theirs")
    suite.runpytest_subprocess(*WITH_US).assert_outcomes(passed=1)


def test_who_has_a_harness_and_uses_ours_is_told_at_collection(
    suite: pytest.Pytester, approved: Any
) -> None:
    """One sentence names both paths."""
    (suite.path / "harness").mkdir()
    (suite.path / "harness" / "__init__.py").write_text("theirs = True\n")
    suite.makepyfile(test_mine="import harness\nfrom nnet_parity import Case\n")
    result = suite.runpytest_subprocess(*WITH_US)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved(line for line in result.outlines if line.startswith("nnet-parity: "))


SHARED = """
import os, pathlib, pytest
@pytest.mark.parametrize("number", range(8))
def test_one(number):
    pathlib.Path("ran").mkdir(exist_ok=True)
    pathlib.Path("ran", f"{number} {os.environ['PYTEST_XDIST_WORKER']}").touch()
"""


@pytest.mark.parametrize("with_ours", [False, True], ids=["theirs alone", "beside a case"])
def test_foreign_tests_are_shared_out_by_xdist(
    suite: pytest.Pytester, with_ours: bool, mine: Mine, warm_python: str
) -> None:
    """Both workers get some of them, whether a case is in the run or not."""
    pytest.importorskip("xdist")
    suite.makepyfile(test_foreign=SHARED)
    if with_ours:
        mine.write_sine(dtypes='["float64"]', checks='["forward", "loss"]')
    mine.pytest_apart(warm_python, *WITH_US, processes=2).assert_outcomes(
        passed=10 if with_ours else 8
    )
    workers = [path.name.split()[1] for path in (suite.path / "ran").iterdir()]
    assert sorted(set(workers)) == ["gw0", "gw1"]


def test_a_scheduler_that_a_suite_chose_is_theirs(suite: pytest.Pytester) -> None:
    """Ours is made only where a worker reports trials of ours."""
    pytest.importorskip("xdist")
    suite.makeconftest(
        """
        import pytest
        from xdist.scheduler import LoadScheduling
        class Theirs(LoadScheduling):
            def schedule(self):
                print("theirs schedules", flush=True)
                super().schedule()
        @pytest.hookimpl(tryfirst=True)
        def pytest_xdist_make_scheduler(config, log): return Theirs(config, log)
        """
    )
    suite.makepyfile("def test_one(): pass")
    result = suite.runpytest_subprocess("-p", "xdist", *WITH_US, "-n", "1", "-s")
    result.assert_outcomes(passed=1)
    assert "theirs schedules" in result.stdout.str()


def test_the_trials_of_a_case_are_known_by_their_ids() -> None:
    """Foreign ids are not ours, though they end alike."""
    from nnet_parity.workers import get_group

    trial = "test_a.py::test_sine[Net-cuda:1-float32-input_gradient-vs-r_nnet]"
    assert get_group(trial) == "test_a.py::test_sine"
    for foreign in (
        "test_a.py::test_x[a-vs-b]",
        "test_a.py::test_x[cpu-float32]",
        "test_a.py::test_x",
    ):
        assert get_group(foreign) == foreign


def test_cases_that_train_start_first() -> None:
    """What takes longest is not left for the end; groups of one weight keep their order."""
    from nnet_parity.workers import HeaviestFirst

    queue = HeaviestFirst()
    short, fits = (f"a.py::t[Net-cpu-float64-{check}-vs-nnet]" for check in ("forward", "final"))
    groups = {"one": [short], "two": [short], "trains": [fits], "many": [short + "a", short + "b"]}
    for group, tests in groups.items():
        queue[group] = dict.fromkeys(tests, False)
    first = queue.popitem(last=False)
    assert first == ("trains", {fits: False})
    queue["trains"] = first[1]  # its process has ended
    assert [queue.popitem(last=False)[0] for _ in groups] == ["trains", "many", "one", "two"]
    assert not queue


WOKEN = """
from nnet_parity import ({names})
from reference.r.nnet_reference import LIVE
assert (LIVE._worker is not None) is {awake}
def test_it(): pass
"""


@pytest.mark.parametrize(
    ("names", "options", "is_awake"),
    [
        ("\n    numpy_net,\n    r_nnet,\n", [], True),
        ("nnet_fit", [], True),
        ("r_nnet", ["--parity-r", "recorded"], False),
        ("r_nnet", ["--collect-only"], False),
        ("numpy_net", [], False),
    ],
)
def test_r_starts_before_a_file_that_names_it_is_imported(
    mine: Mine, warm_python: str, live_r: None, names: str, options: list[str], is_awake: bool
) -> None:
    """Its half second passes while torch is imported; nobody else waits for it."""
    mine.pytester.makepyfile(test_mine=WOKEN.format(names=names, awake=is_awake))
    options = ["-p", "nnet_parity.plugin", *options]
    assert mine.pytest_apart(warm_python, *options).ret == 0


def test_a_foreign_reference_that_names_r_is_theirs(suite: pytest.Pytester) -> None:
    """Their package is found only when pytest has put the folder of the tests on the path."""
    package = suite.path / "theirs" / "reference"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models.py").write_text("r_nnet = 'theirs'\n")
    (package.parent / "test_it.py").write_text(
        "from reference.models import r_nnet\ndef test_it(): assert r_nnet == 'theirs'\n"
    )
    suite.runpytest_subprocess(*WITH_US, "theirs").assert_outcomes(passed=1)


def test_what_stops_an_early_start_of_r_is_told_by_the_file(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an error of its collection: pytest goes on with the other files."""
    broken = suite.mkdir("broken")
    (broken / "scipy.py").write_text("raise ValueError('this scipy is broken')\n")
    monkeypatch.setenv("PYTHONPATH", f"{broken}:{ROOT}")
    suite.makepyfile(test_mine="from nnet_parity import r_nnet", test_other="def test_it(): pass")
    result = suite.runpytest_subprocess(*WITH_US, "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*this scipy is broken*"])


def test_a_module_without_a_file_is_collected(suite: pytest.Pytester) -> None:
    """Another plugin may make one of something else."""
    suite.makeconftest(
        """
        import types, pytest
        class Made(pytest.Module):
            def _getobj(self):
                made = types.ModuleType("made")
                exec("def test_it(): pass", made.__dict__)
                return made
        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".made":
                return Made.from_parent(parent, path=file_path.with_suffix(".nowhere"))
        """
    )
    suite.makefile(".made", "")
    suite.runpytest_subprocess(*WITH_US).assert_outcomes(passed=1)


@pytest.mark.parametrize("end", ["", "raise ValueError", "pytest.exit('enough')"])
def test_the_garbage_collector_is_switched_on_again(suite: pytest.Pytester, end: str) -> None:
    """However the import of a file that names us ends."""
    suite.makeconftest(
        """
        import gc
        def pytest_unconfigure(): print("it is on:", gc.isenabled())
        """
    )
    off = "from nnet_parity import names\nimport gc, pytest\nassert not gc.isenabled()\n"
    suite.makepyfile(test_mine=f"{off}{end}")
    result = suite.runpytest_subprocess(*WITH_US)
    assert "it is on: True" in result.stdout.str()
    assert "AssertionError" not in result.stdout.str()


EXPORTED = """
def exported():
    sizes = ({0: torch.export.Dim.AUTO},)
    return torch.export.export(SineNet(), (torch.zeros(5, 1),), dynamic_shapes=sizes).module()


"""
FORWARD = {"dtypes": '["float64"]', "checks": '["forward", "gradient"]'}


@pytest.mark.filterwarnings("ignore")
def test_an_exported_module_is_judged(mine: Mine) -> None:
    """It has neither train() nor eval(); a wrong one fails, and torch's trace does not flood the
    failure.
    """
    wrong = EXPORTED.replace("exported()", "wrong()").replace("SineNet()", "Wrong()")
    wrong += "class Wrong(SineNet):\n    def forward(self, x): return 2 * super().forward(x)\n\n\n"
    mine.write_sine(before=EXPORTED + wrong, subjects="[exported, wrong]", **FORWARD)
    result = mine.pytest("--log-level=DEBUG", "-W", "ignore")
    result.assert_outcomes(passed=2, failed=1)
    assert "torch.__trace" not in result.stdout.str()
