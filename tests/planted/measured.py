"""Defects of what is chosen by measuring: precision, forms of convolution, threads."""

from __future__ import annotations

from planted.defect import of

_precision = of("precision.py", "tests/test_precision.py")
_machine = of("machine.py", "tests/test_precision.py")
_threads = of("threads.py", "tests/test_threads.py")
_options = of("cli/options.py", "tests/test_threads.py")
_forms = of("fast/forms.py", "tests/fast/test_forms.py")
_tuning = of("fast/tuning.py", "tests/fast/test_forms.py")
_kept = of("training/arithmetic.py", "tests/training/test_arithmetic.py")
_run = of("training/run.py", "tests/training/test_arithmetic.py")

_CHOOSES = "test_the_table_chooses"
_SAME = "test_every_form_is_the_same_function_with_the_same_gradient"

_PRECISION = [
    _precision(
        "<= GAIN * seconds[torch.float32]",
        "<= seconds[torch.float32]",
        "a draw between the precisions is float32",
        "test_the_faster_is_chosen_and_a_draw_is_float32",
    ),
    _precision(
        "        found = probe()\n",
        '        found = "bf16"\n',
        "what a processor announces decides nothing",
        "test_what_a_processor_announces_decides_nothing",
    ),
    _precision(
        '        keep("precision", found)\n',
        "",
        "precision is measured once for a machine",
        "test_it_is_measured_once_for_a_machine",
    ),
    _precision(
        'if found not in ("fp32", "bf16"):',
        "if found is None:",
        "a precision of another kind is measured anew",
        "test_a_damaged_cache_is_measured_anew_and_mended",
    ),
    _precision(
        "if turn:  # the first makes the kernels",
        "if True:",
        "warm-up is not timed",
        "test_the_faster_is_chosen_and_a_draw_is_float32",
    ),
    _precision(
        "torch.random.fork_rng(devices=[])",
        "torch.enable_grad()",
        "the probe leaves no trace",
        "test_the_probe_leaves_no_trace_in_the_random_numbers",
    ),
    _machine(
        ", {torch.get_num_threads()} threads",
        "",
        "another number of threads is measured anew",
        "test_another_machine_torch_or_number_of_threads_is_measured_anew",
    ),
    _machine(
        "except (OSError, ValueError, RecursionError):",
        "except OSError:",
        "a damaged cache is measured anew",
        "test_a_damaged_cache_is_measured_anew_and_mended",
    ),
    _machine(
        "    with contextlib.suppress(OSError):\n        path.parent",
        "    with contextlib.suppress(KeyError):\n        path.parent",
        "a cache that cannot be written is done without",
        "test_a_cache_that_cannot_be_written_is_done_without",
    ),
]

_THREADS = [
    _threads(
        "max(1, of - round(others))",
        "of - round(others)",
        "there is always one thread",
        "test_the_free_cores_are_computed_with",
    ),
    _threads(
        " - (now.own_s - self.own_s)",
        "",
        "its own work is no one else's",
        "test_this_process_s_own_work_is_no_one_else_s",
    ),
    _threads(
        'line.split(" ")[0] in mine',
        'line.startswith("cpu")',
        "only the cores that are ours count",
        "test_other_processes_are_counted_on_the_cores_that_are_ours",
    ),
    _threads(
        "map(int, each[1:4])",
        "map(int, each[1:6])",
        "an idle core is not busy",
        "test_other_processes_are_counted_on_the_cores_that_are_ours",
    ),
    _threads(
        "or seconds < LEAST_S",
        "",
        "a moment says nothing",
        "test_nothing_is_said_of_a_moment_or_where_the_system_tells_nothing",
    ),
    _threads(
        "wanting = min(float(load),",
        "wanting = max(float(load),",
        "busy is now and lately",
        "test_waiting_threads_sleep_where_others_want_the_cores",
    ),
    _threads(
        'os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE").upper()',
        'os.environ.__setitem__("OMP_WAIT_POLICY", "PASSIVE") or "PASSIVE"',
        "the waiting that was asked for stands",
        "test_the_waiting_that_was_asked_for_stands",
    ),
    _options(
        'if others is None or "OMP_NUM_THREADS" in os.environ:',
        "if others is None:",
        "the number of threads in the environment stands",
        "test_the_threads_that_were_asked_for_are_taken",
    ),
    _options(
        "        torch.set_num_threads(free)\n",
        "",
        "training leaves busy cores out",
        "test_training_leaves_busy_cores_out_and_says_so",
    ),
]

_FORMS = [
    _forms(
        "return _State.table.get(case.name, rule)",
        "return rule",
        "the table chooses",
        _CHOOSES,
    ),
    _forms(
        "    if _State.torch_alone:\n        return TORCH\n",
        "",
        "where a gradient is differentiated torch computes",
        _CHOOSES,
    ),
    _forms(
        "dtype = str(precision(input))",
        "dtype = str(input.dtype)",
        "another precision is another case",
        _CHOOSES,
    ),
    of("fast/convolutions.py", "tests/fast/test_forms.py")(
        "if form == NINE and halves:",
        "if form == NINE:",
        "a table cannot say the impossible",
        "test_a_rule_stands_where_the_table_is_silent_or_says_the_impossible",
    ),
    _tuning(
        "seconds[best] <= GAIN * seconds[TORCH]",
        "seconds[best] <= seconds[TORCH]",
        "a form is not chosen by noise",
        "test_torch_s_own_form_yields_to_a_clear_gain_alone",
    ),
    _tuning(
        "if turn:  # the first is warm-up",
        "if True:",
        "a form's warm-up is not timed",
        "test_a_form_s_time_is_its_least_after_warm_up",
    ),
    _tuning(
        "convolve_small(x, w, None, stride, padding)",
        "convolve_small(x, w, None, stride, 0)",
        "rows are padded as the convolution",
        _SAME,
    ),
    _tuning(
        "and case.height % 4 == case.width % 4 == 0",
        "",
        "nine products need whole tiles",
        _SAME,
    ),
    of("systems/stackgan/step.py", "tests/training/test_arithmetic.py")(
        "    with torch_alone():\n        features = discriminator.features(images)",
        "    if True:\n        features = discriminator.features(images)",
        "the penalty is torch's own",
        "test_a_penalty_is_computed_by_torch_alone",
    ),
]

_KEPT = [
    _kept(
        "new = [case for case in cases if case.name not in known]",
        "new = list(cases)",
        "a convolution is measured once on a machine",
        "test_a_convolution_is_measured_once_on_a_machine",
    ),
    _kept(
        "long = stage.steps >= WORTH_STEPS if",
        "long = True if",
        "a short run measures nothing",
        "test_a_run_too_short_to_gain_measures_nothing",
    ),
    _kept(
        "        if fast and long:",
        "        if long:",
        "literal arithmetic has no forms",
        "test_what_is_computed_plainly_or_elsewhere_has_no_forms",
    ),
    _kept(
        "        torch.set_num_threads(self.threads)\n",
        "",
        "a run goes on with its threads",
        "test_a_run_goes_on_with_what_it_began_with",
    ),
    _kept(
        "        use_forms(self.forms)\n",
        "",
        "a run goes on with its forms",
        "test_a_run_goes_on_with_what_it_began_with",
    ),
    _kept(
        'update={"precision": self.precision}',
        "update={}",
        "auto becomes what was measured",
        "test_auto_becomes_what_was_measured",
    ),
    _kept(
        "if threads is not None and threads != found.threads:",
        "if False:",
        "another number of threads is said",
        "test_what_is_no_longer_the_same_is_said",
    ),
    _run(
        "    arithmetic = choose(plan, device, say)\n",
        "    arithmetic = choose(plan, 'none', say)\n",
        "a run measures before it begins",
        "test_a_run_measures_keeps_and_computes_by_its_forms",
    ),
    _run(
        "    arithmetic = go_on(run, plan, device, threads, say)\n    arithmetic.use()\n",
        "    arithmetic = go_on(run, plan, device, threads, say)\n",
        "a run computes by what it kept",
        "test_a_run_measures_keeps_and_computes_by_its_forms",
    ),
]

DEFECTS = _PRECISION + _THREADS + _FORMS + _KEPT
