"""``stackgan train``: a text encoder, Stage-I and Stage-II on a data set, in one folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stackgan.cli.answer import answer
from stackgan.cli.dry_run import estimate
from stackgan.cli.dry_run import say as _say
from stackgan.cli.options import Threads, use_free_threads
from stackgan.cli.progress import bar
from stackgan.errors import InputError, StackGANError

if TYPE_CHECKING:
    from stackgan.config import Settings
    from stackgan.training.budget import Budget
    from stackgan.training.plan import Plan

STAGES = {"1": (1,), "2": (2,), "both": (1, 2)}


RunOption = Annotated[Path, typer.Option(help="The run's folder: everything is written there.")]
DataOption = Annotated[
    str | None, typer.Option(help="Kind of data set; `stackgan data list` shows them.")
]
RootOption = Annotated[Path | None, typer.Option(help="The data set's folder.")]
PresetOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A preset: modern (the default), paper, authors-tf, authors-pt, authors-pt-coco, "
        "finetune, toy, oxford102, cub, coco, or after another one ablation-...; may be given "
        "several times, the later one wins."
    ),
]
StageOption = Annotated[str | None, typer.Option(help="1, 2 or both.", show_default="both")]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(help="One of the reader's options, such as test_fraction=0; may be repeated."),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(help="A text encoder's file or folder, or a model that has one."),
]
Stage1Option = Annotated[
    str | None, typer.Option(help="For --stage 2: the model whose Stage-I is refined.")
]
InitFromOption = Annotated[
    str | None, typer.Option(help="Begin from a model's weights and its encoder.")
]
ConfigOption = Annotated[Path | None, typer.Option(help="A TOML file of settings.")]
AssignOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, such as stage1.steps=4000; may be repeated."),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Plan all trainings into 20m, 1h or 1h30m on this machine: measured first, told "
        "before it starts.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the run in --run; --root where its data was moved, --set for rates, "
        "precision or more steps.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print settings, sizes, time and memory; train not.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|fp32|bf16",
        help="What to compute in; auto: the faster one, measured. The same as --set precision=",
    ),
]
JsonWantedOption = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def command(
    run: RunOption,
    data: DataOption = None,
    root: RootOption = None,
    preset: PresetOption = None,
    stage: StageOption = None,
    option: OptionOption = None,
    encoder: EncoderOption = None,
    stage1: Stage1Option = None,
    init_from: InitFromOption = None,
    config: ConfigOption = None,
    assign: AssignOption = None,
    budget: BudgetOption = None,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    threads: Threads = None,
    json_wanted: JsonWantedOption = False,
) -> None:
    """Train Stage-I, Stage-II or both; --resume goes on after any stop, bit for bit."""
    from dataclasses import replace

    from stackgan.devices import choose_device
    from stackgan.training import run as training
    from stackgan.training.plan import read_plan, withdraw

    where = str(choose_device(device))
    if precision is not None:
        assign = [*(assign or []), f"precision={precision}"]
    if not resume:
        use_free_threads(threads)
    if resume:
        fixed = {"data": data, "option": option, "preset": preset, "stage": stage, "config": config}
        _refuse_fixed(run, {**fixed, "budget": budget})
        places = {"root": root, "encoder": encoder, "stage1": stage1, "init_from": init_from}
        plan = _changed(run, read_plan(run), places, assign)
    else:
        settings = _settings(data, preset, config, assign, init_from)
        plan = _plan(settings, data, root, option, stage or "both", encoder, stage1, init_from)
        plan = replace(plan, budget=_budget(budget, config, assign))
    if dry_run:
        estimate(run, plan, where, json_wanted, resume)
        return
    if not resume:
        if budget is not None:
            _say("measuring")
        plan = training.begin(run, plan, device=where, say=_say)
    try:
        with _Bars() as bars:
            folder = training.train(
                run, plan, device=where, threads=threads, say=_say, progress=bars
            )
    except StackGANError as error:
        if not resume and error.exit_code == 2:
            withdraw(run)
        raise
    answer(f"{folder}", {"model": str(folder)}, json_wanted)


def _refuse_fixed(run: Path, given: dict[str, Any]) -> None:
    """Raise InputError where `--resume` is given what a run decides at its start."""
    if given["budget"] is not None:
        raise InputError(
            "--budget is for a new run: with --resume the run keeps its own plan; leave it out"
        )
    for name, value in given.items():
        if value not in (None, []):
            raise InputError(
                f"--resume goes on with the settings in {run / 'settings.json'}; give only --run, "
                f"not --{name} (--root, --encoder, --stage1 or --init-from where something was "
                "moved, --set for rates, precision or more steps)"
            )


def _changed(
    run: Path, plan: Plan, places: dict[str, str | Path | None], assign: list[str] | None
) -> Plan:
    """The plan of a run that goes on, with what was moved and what `--set` changes."""
    from stackgan.training.resume import Change, changed

    moved = {name: _found(str(place)) for name, place in places.items() if place is not None}
    if "root" in moved:
        moved["root"] = str(Path(str(places["root"])).absolute())
    return changed(run, plan, Change({k: v for k, v in moved.items() if v}, assign or []))


def _settings(
    data: str | None,
    preset: list[str] | None,
    config: Path | None,
    assign: list[str] | None,
    init_from: str | None,
) -> Settings:
    """The settings of a new run.

    Where no preset was named: `modern`, the data set's own and, for a run that begins from a model,
    `finetune`. Such a run has the model's architecture; what --config or --set say of it wins, and
    is refused later where the weights do not fit.
    """
    from stackgan.config import load_settings, preset_names
    from stackgan.model_folder import find_model, read_architecture

    names = list(preset or ["modern"])
    if all(name.startswith("ablation-") and name in preset_names() for name in names):
        raise InputError(
            f"--preset {names[0]} is a row of the ablation and changes another preset: name that "
            f"first, such as --preset paper --preset {names[0]}"
        )
    if not preset and data in preset_names():
        names.append(str(data))
    if init_from is None:
        return load_settings(names, config, assign)
    if not preset:
        names.append("finetune")
    before, after = load_settings(names), load_settings(names, config, assign)
    presets = before.architecture.model_dump()
    chosen = {k: v for k, v in after.architecture.model_dump().items() if v != presets[k]}
    architecture = read_architecture(find_model(init_from)).model_copy(update=chosen)
    return after.model_copy(update={"architecture": architecture})


def _plan(
    settings: Settings,
    data: str | None,
    root: Path | None,
    option: list[str] | None,
    stage: str,
    encoder: str | None,
    stage1: str | None,
    init_from: str | None,
) -> Plan:
    """The plan of a new run; what it names stays found from any folder."""
    from stackgan.data.readers import reader
    from stackgan.training.plan import Plan

    if data is None or root is None:
        raise InputError("train needs --data NAME and --root DIR; `stackgan data list` shows names")
    reader(data)
    if stage not in STAGES:
        raise InputError(f"--stage is {stage!r}: give 1, 2 or both")
    if STAGES[stage] == (2,) and stage1 is None and init_from is None:
        raise InputError("--stage 2 refines a Stage-I: name its model with --stage1")
    return Plan(
        data=data,
        root=str(root.absolute()),
        settings=settings,
        stages=STAGES[stage][: settings.architecture.stages],  # type: ignore[arg-type]
        encoder=_found(encoder),
        stage1=_found(stage1),
        init_from=_found(init_from),
        options=reader_options(option or []),
    )


def _budget(text: str | None, config: Path | None, assign: list[str] | None) -> Budget | None:
    """The time of ``--budget``; refused beside settings that say what it would plan."""
    from stackgan.config import given_settings
    from stackgan.training.budget import CADENCE, Budget, parse_budget, refuse_planned

    if text is None:
        return None
    seconds, given = parse_budget(text), given_settings(config, assign)
    refuse_planned(given)
    return Budget(seconds, kept=tuple(name for name in CADENCE if name in given))


def reader_options(words: list[str]) -> dict[str, int | float | str]:
    """Read ``key=value`` words; a number where the value is one."""
    options: dict[str, int | float | str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(f"--option takes key=value, such as test_fraction=0, not {word!r}")
        options[key] = text
        for kind in (float, int):
            with suppress(ValueError):
                options[key] = kind(text)
    return options


def _found(name: str | None) -> str | None:
    """An existing path made absolute; a shipped model's name as it is."""
    return str(Path(name).absolute()) if name is not None and Path(name).exists() else name


class _Bars:
    """One progress bar for each kind of work, shown while that work goes on."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._label: str | None = None
        self._update: Callable[[int, int], None] | None = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, label: str, done: int, total: int) -> None:
        if label != self._label:
            self._stack.close()
            self._update = self._stack.enter_context(bar(label))
            self._label = label
        if self._update is not None:
            self._update(done, total)
