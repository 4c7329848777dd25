"""Config: where each value comes from, and what every mistake is answered with."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from winbridge.core.config import DEFAULT, KEYWORD, PARAMETERS, Config
from winbridge.core.errors import ConfigError


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, an empty working directory and no WINBRIDGE variables."""
    for name in [name for name in os.environ if name.startswith("WINBRIDGE_")]:
        monkeypatch.delenv(name)
    for name, folder in (("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("HOME", "home")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def user_file(places: Path, text: str) -> Path:
    path = places / "config" / "winbridge" / "winbridge.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def local_file(text: str) -> Path:
    path = Path.cwd() / "winbridge.toml"
    path.write_text(text)
    return path


def test_defaults(places: Path) -> None:
    config = Config()
    assert config.prefix == places / "data" / "winbridge" / "prefix"
    assert (config.arch, config.id, config.wine, config.log_level, config.log_file, config.python) == (None,) * 6
    assert (config.wine_debug, config.history, config.scope, config.transport) == ("-all", 0, "process", "auto")
    assert (config.timeout_start, config.timeout_stop, config.timeout_call) == (60, 5, None)
    assert config.spin_us is None
    assert {config.source(name) for name in PARAMETERS} == {DEFAULT}


def test_each_source_beats_the_next(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = user_file(places, "timeout_call = 1")
    assert (Config().timeout_call, Config().source("timeout_call")) == (1, str(far))
    near = local_file("timeout_call = 2")
    assert (Config().timeout_call, Config().source("timeout_call")) == (2, str(near))
    monkeypatch.setenv("WINBRIDGE_TIMEOUT_CALL", "3")
    assert Config().timeout_call == 3
    assert Config().source("timeout_call") == "environment variable WINBRIDGE_TIMEOUT_CALL"
    config = Config(timeout_call=4)
    assert (config.timeout_call, config.source("timeout_call")) == (4, KEYWORD)


def test_sources_mix_parameter_by_parameter(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_file(places, 'id = "far"\nhistory = true')
    local_file('id = "near"\nspin_us = 7')
    monkeypatch.setenv("WINBRIDGE_SCOPE", "thread")
    config = Config(arch="win32")
    assert (config.id, config.history, config.spin_us, config.scope, config.arch) == (
        "near",
        True,
        7,
        "thread",
        "win32",
    )


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("WINBRIDGE_TIMEOUT_START", "2.5", "timeout_start", 2.5),
        ("WINBRIDGE_SPIN_US", "0", "spin_us", 0),
        ("WINBRIDGE_HISTORY", "true", "history", True),
        ("WINBRIDGE_HISTORY", "100", "history", 100),
        ("WINBRIDGE_LOG_LEVEL", "debug", "log_level", "debug"),
        ("WINBRIDGE_WINE_DEBUG", "+relay", "wine_debug", "+relay"),
        ("WINBRIDGE_ARCH", "win32", "arch", "win32"),
        ("WINBRIDGE_WINE", "/opt/w/bin/wine", "wine", Path("/opt/w/bin/wine")),
    ],
)
def test_environment_text_becomes_the_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    found = getattr(Config(), name)
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


def test_none_as_text_undoes_a_weaker_source(monkeypatch: pytest.MonkeyPatch) -> None:
    local_file('timeout_call = 2\nwine = "x"\nlog_level = "none"')
    monkeypatch.setenv("WINBRIDGE_TIMEOUT_CALL", "none")
    monkeypatch.setenv("WINBRIDGE_WINE", "none")
    config = Config()
    assert (config.timeout_call, config.wine, config.log_level) == (None, None, None)
    assert Config(timeout_call=None).source("timeout_call") == KEYWORD


def test_none_for_what_has_no_none_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINBRIDGE_PREFIX", "/p")
    config = Config(prefix=None, timeout_start=None)
    assert (config.prefix, config.timeout_start) == (Path("/p"), 60)


def test_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINBRIDGE_ARCH", "")
    monkeypatch.setenv("WINBRIDGE_IMPL", "python")
    assert Config() == Config(arch=None)
    assert Config().source("arch") == DEFAULT


def test_paths_start_where_they_were_written(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_file(places, 'prefix = "near/file"\npython = "~/python.exe"')
    monkeypatch.setenv("WINBRIDGE_LOG_FILE", "log/../w.log")
    config = Config(wine=Path("bin/wine"))
    assert config.prefix == places / "config" / "winbridge" / "near" / "file"
    assert config.python == places / "home" / "python.exe"
    assert config.log_file == places / "work" / "w.log"
    assert config.wine == places / "work" / "bin" / "wine"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"arch": "win16"}, "arch = 'win16' (keyword argument): expected win64 or win32"),
        ({"timeout_start": 0}, "timeout_start = 0 (keyword argument): expected seconds, more than 0"),
        ({"timeout_stop": float("inf")}, "timeout_stop = inf (keyword argument): expected seconds"),
        ({"timeout_call": "5"}, "timeout_call = '5' (keyword argument): expected seconds, more than 0, or none"),
        ({"timeout_call": float("nan")}, "timeout_call = nan"),
        ({"history": -1}, "history = -1 (keyword argument): expected a number of calls"),
        ({"spin_us": True}, "spin_us = True (keyword argument): expected microseconds"),
        ({"scope": "global"}, "scope = 'global' (keyword argument): expected process or thread"),
        ({"transport": "tcp"}, "transport = 'tcp' (keyword argument): expected auto, shm or stream"),
        ({"log_level": "loud"}, "expected debug, info, warning, error or critical"),
        ({"prefix": 3}, "prefix = 3 (keyword argument): expected a path"),
        ({"id": b"x"}, "id = b'x' (keyword argument): expected a text"),
        ({"prefx": "/p"}, "unknown parameter (keyword argument): prefx; did you mean prefix?"),
        ({"zzz": 1}, "known are arch, history, id"),
    ],
)
def test_bad_keyword(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**keywords)
    assert message in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Config().replace(**keywords)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        (
            "WINBRIDGE_TIMEOUT_START",
            "soon",
            "timeout_start = 'soon' (environment variable WINBRIDGE_TIMEOUT_START): expected seconds",
        ),
        ("WINBRIDGE_SPIN_US", "1.5", "environment variable WINBRIDGE_SPIN_US"),
        ("WINBRIDGE_PREFX", "/p", "unknown environment variable: WINBRIDGE_PREFX; did you mean WINBRIDGE_PREFIX?"),
        ("WINBRIDGE_prefix", "/p", "unknown environment variable: WINBRIDGE_prefix; did you mean WINBRIDGE_PREFIX?"),
    ],
)
def test_bad_variable(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timeout_start = -1", "timeout_start = -1 ({path}): expected seconds, more than 0"),
        ('timeout_start = "9"', "timeout_start = '9' ({path}): expected seconds"),
        ("timout_call = 1", "unknown parameter ({path}): timout_call; did you mean timeout_call?"),
        ("[prefix]\na = 1", "prefix = {{'a': 1}} ({path}): expected a path"),
        ("arch = ", "{path} is not valid TOML: "),
    ],
)
def test_bad_file(places: Path, text: str, message: str) -> None:
    near = local_file(text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert message.format(path=near) in str(caught.value)
    near.unlink()
    far = user_file(places, text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert message.format(path=far) in str(caught.value)


def test_file_that_cannot_be_read() -> None:
    path = Path.cwd() / "winbridge.toml"
    path.mkdir()
    with pytest.raises(ConfigError, match=f"{path} cannot be read"):
        Config()
    path.rmdir()
    path.write_bytes(b"id = '\xff'")
    with pytest.raises(ConfigError, match=f"{path} cannot be read"):
        Config()


def test_deleted_working_directory(places: Path) -> None:
    (places / "work").rmdir()
    assert Config().scope == "process"
    with pytest.raises(ConfigError, match="prefix = 'relative'"):
        Config(prefix="relative")


def test_it_is_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINBRIDGE_ID", "a")
    from_environment, from_keyword = Config(), Config(id="a")
    assert from_environment == from_keyword
    assert hash(from_environment) == hash(from_keyword)
    assert from_environment != Config(id="b")
    with pytest.raises(AttributeError):
        from_environment.id = "c"  # type: ignore[misc]


def test_replace_keeps_the_rest_and_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINBRIDGE_ID", "a")
    config = Config(history=3)
    monkeypatch.setenv("WINBRIDGE_ID", "other")
    changed = config.replace(scope="thread", prefix=None)
    assert (changed.id, changed.history, changed.scope, changed.prefix) == ("a", 3, "thread", config.prefix)
    assert changed.source("id") == "environment variable WINBRIDGE_ID"
    assert (changed.source("scope"), config.source("scope"), config.scope) == (KEYWORD, DEFAULT, "process")


def test_source_of_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match="did you mean history"):
        Config().source("histroy")


def test_repr_shows_what_differs() -> None:
    assert repr(Config()) == "Config()"
    config = Config(arch="win32", prefix="/p", timeout_start=60)
    assert repr(config) == "Config(arch='win32', prefix='/p')"
    assert eval(repr(config)) == config


def test_pickle_carries_values_and_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINBRIDGE_ID", "here")
    packed = pickle.dumps(Config(arch="win32"))
    monkeypatch.setenv("WINBRIDGE_ID", "there")
    config = pickle.loads(packed)
    assert (config.id, config.arch) == ("here", "win32")
    assert config.source("id") == "environment variable WINBRIDGE_ID"


def test_no_toml_parser_without_a_file() -> None:
    program = "import sys; from winbridge.core.config import Config; Config(); print('tomllib' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
