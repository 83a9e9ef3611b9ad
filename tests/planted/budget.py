"""Defects of a time that is planned: its arithmetic, its measuring, and what a stop changes."""

from __future__ import annotations

from planted.defect import of

_budget = of("training/budget.py", "tests/training/test_budget.py")
_planning = of("training/planning.py", "tests/training/test_planning.py")
_estimate = of("training/estimate.py", "tests/training/test_planning.py")
_run = of("training/run.py", "tests/training/test_planning.py")
_prepare = of("training/prepare.py", "tests/training/test_planning.py")
_train = of("cli/train.py", "tests/cli/test_train_budget.py")
_dry_run = of("cli/dry_run.py", "tests/cli/test_train_budget.py")

_FILL = "test_whole_steps_fill_the_time_and_never_exceed_it"
_LEAST = "test_the_least_budget_holds_the_least_steps_and_no_shorter_one_does"
_STOPPED = "test_a_stopped_run_keeps_its_plan_and_ends_as_if_never_stopped"
_FILLS = "test_a_run_fills_its_time_and_a_stage_keeps_what_it_began_with"
_SETTINGS = "test_settings_hold_the_plan_and_nothing_else_changes"
_SAVED = "test_what_is_saved_and_shown_follows_the_speed_and_the_length"
_SCALED = "test_shorter_counts_keep_their_share_of_the_steps"

DEFECTS = [
    _budget("seconds = hours * 3600 + minutes * 60", "seconds = hours * 3600",
            "minutes count", "test_a_time_is_read_in_hours_and_minutes"),
    _budget("if found is None or not any(found.groups()):", "if found is None:",
            "no time at all is refused", "test_another_time_is_refused_with_examples"),
    _budget("if not LEAST_S <= seconds <= MOST_S:", "if seconds > MOST_S:",
            "too short a time is refused",
            "test_too_short_and_too_long_a_time_is_told_the_bounds"),
    _budget("math.ceil(seconds / 60 - 1e-9)", "math.floor(seconds / 60)",
            "the time named is enough", "test_seconds_are_said_in_whole_minutes_rounded_up"),
    _budget("return seconds * (1 - SPARE) - sum(", "return seconds - sum(",
            "a spare is kept", _FILL),
    _budget("sum(cost.apart_s for cost in costs.values())", "0.0",
            "what is needed once is paid for", _FILL),
    _budget("left -= cost.seconds(steps[name])", "left -= own",
            "what a training leaves goes to the others",
            "test_an_encoder_that_is_long_enough_leaves_the_rest_to_the_stages"),
    _budget("own - cost.features_s)", "own)", "image features are of the encoder's share",
            "test_features_take_no_more_than_half_of_the_encoders_share"),
    _budget("own = min(own, left - sum(", "own = max(own, left - sum(",
            "the others keep their least",
            "test_no_training_gets_fewer_than_its_least_and_the_others_wait_for_it"),
    _budget("count = max(cost.least, math.floor(", "count = max(1, math.floor(",
            "no training gets fewer than its least",
            "test_no_training_gets_fewer_than_its_least_and_the_others_wait_for_it"),
    _budget("math.floor(own / 2 / cost.photograph_s)", "math.floor(own / cost.photograph_s)",
            "half the encoder's share is for its steps",
            "test_features_take_no_more_than_half_of_the_encoders_share"),
    _budget("most = max(LEAST_PHOTOGRAPHS, photographs)", "most = photographs",
            "an encoder sees a thousand photographs",
            "test_features_take_no_more_than_half_of_the_encoders_share"),
    _budget("needed = budget.used_s + least_seconds", "needed = least_seconds",
            "the measuring counts", _LEAST),
    _budget("    own = sum(cost.apart_s + cost.thinned(0)", "    own = sum(cost.thinned(0)",
            "the least holds what is needed once", _LEAST),
    _budget("round(count * steps / before)", "round(count * before / steps)",
            "shorter counts keep their share", _SCALED),
    _budget("return max(1, round(", "return max(0, round(",
            "a phase that there is stays", _SCALED),
    _budget('update={"steps": steps, "epochs": None, **changed}',
            'update={"steps": steps, **changed}', "steps take the place of epochs",
            "test_a_length_in_epochs_becomes_steps_with_its_halvings_in_proportion"),
    _budget("min(500, max(50, saved))", "max(50, saved)",
            "a checkpoint comes after 500 steps at most", _SAVED),
    _budget("math.ceil(steps / SHEETS)", "steps // SHEETS", "ten sheets, not eleven", _SAVED),
    _budget("if name not in budget.kept}", "}", "what the user asked for stays", _SETTINGS),
    _budget("budget.costs[name].photographs or settings.encoder.photographs",
            "budget.costs[name].photographs", "the photographs asked for stay", _SETTINGS),
    _budget('if name in (given.get(part) or {}):', "if False:",
            "a length beside a budget is refused",
            "test_a_length_beside_a_budget_is_refused_by_its_name"),
    _budget("settled=(*budget.settled, name)", "settled=(name,)",
            "what was settled stays settled",
            "test_a_stage_that_begins_is_settled_with_what_was_measured_then"),
    _planning("if name in plan.budget.settled:", "if False:",
              "a stage that has begun keeps its steps", _STOPPED),
    _planning("        clock.go_on(plan.budget.used_s)\n", "", "a stop does not count",
              "test_a_stage_that_has_begun_is_not_measured_again"),
    _planning("    left = budget.seconds - budget.used_s\n    steps",
              "    left = budget.seconds\n    steps", "what was used is used", _FILLS),
    _planning("costs=thin(left, costs))", "costs=costs)", "features are thinned",
              "test_features_of_too_many_photographs_are_thinned"),
    _planning("return 0.0 if there is not None else photograph_s * len(examples)", "return 0.0",
              "photographs must be decoded", "test_what_lies_in_the_cache_costs_nothing_again"),
    _planning("    return self._before + _now()", "    return _now()",
              "earlier processes count", "test_a_clock_counts_work_and_not_stops"),
    _estimate("    work()\n    seconds: list", "    seconds: list",
              "the first step is no measure", "test_a_warm_time_leaves_the_first_out"),
    _estimate("share = (wanted - small) / max(1, large - small)", "share = 1.0",
              "a small batch's time is drawn out to the stage's own",
              "test_a_step_is_timed_at_the_stage_s_own_batch_or_on_the_line_to_it"),
    _run('run.clock.go_on(state["used_s"])', "pass",
         "a resumed stage goes on with what it had used", _STOPPED),
    _run("plan = note_used(run, plan, clock)", "pass",
         "the encoder's time counts after a stop",
         "test_a_stop_after_the_encoder_does_not_give_its_time_back"),
    _run("shared = replace(shared, plan=plan, settings=settings)", "pass",
         "a checkpoint knows the steps that were planned", _FILLS),
    _prepare("spread(examples, settings.encoder.photographs or len(examples))", "list(examples)",
             "the encoder sees as many photographs as were asked for",
             "test_examples_are_spread_evenly"),
    _train("    refuse_planned(given)\n", "", "a length beside a budget is refused",
           "test_what_does_not_go_with_a_budget_is_one_sentence"),
    _train('    if given["budget"] is not None:\n        raise InputError(',
           "    if False:\n        raise InputError(",
           "a run that goes on keeps its own budget",
           "test_a_run_that_goes_on_keeps_its_own_budget"),
    _dry_run("    if not json_wanted:\n        _print_settings(",
           "    if False:\n        _print_settings(", "a dry run tells its settings",
           "test_a_dry_run_prints_its_settings_before_it_measures"),
]  # fmt: skip
