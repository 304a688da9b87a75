"""The Grafana dashboard, built with Grafana's own typed SDK: `config/grafana/dashboard.json` is made from this."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus as query
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED = "green", "orange", "red"


def of_project(metric: str) -> str:
    """A metric's series of the chosen projects, with the label `project`: only the build info has it."""
    return f'{metric} * on (job, instance) group_left (project) deploy_agent_build_info{{project=~"$project"}}'


def _ask(expr: str, legend: str, *, instant: bool = False) -> query.Dataquery:
    asked = query.Dataquery().ref_id("A").expr(expr).legend_format(legend)
    return asked.instant() if instant else asked.range()


def _steps(*steps: tuple[float | None, str]) -> build.ThresholdsConfig:
    return (
        build.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


BAD_FROM_ONE = ((None, GREEN), (1, RED))


UNKNOWN = ("unknown", "text")


def _stat(
    title: str,
    says: str,
    expr: str,
    *steps: tuple[float | None, str],
    unit: str = "none",
    legend: str = "{{project}}",
    without: tuple[str, str] = UNKNOWN,
) -> stat.Panel:
    """The newest value, one for each project; `without` a value that text and colour, not the threshold's green."""
    nothing = models.ValueMappingResult(text=without[0], color=without[1])
    return (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(4)
        .mappings(
            [
                models.SpecialValueMap(
                    models.DashboardSpecialValueMapOptions(match=models.SpecialValueMatch.NULL_AND_NAN, result=nothing)
                )
            ]
        )
        .color_mode(kinds.BigValueColorMode.BACKGROUND)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_steps(*steps))
        .with_target(_ask(expr, legend, instant=True))
    )


def _lines(
    title: str, says: str, expr: str, legend: str, *, unit: str = "none", bars: bool = False
) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(8)
        .span(8)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .with_target(_ask(expr, legend))
    )
    if bars:
        stacked = common.StackingConfig().mode(kinds.StackingMode.NORMAL)
        panel = panel.interval("1h").draw_style(kinds.GraphDrawStyle.BARS).fill_opacity(80).stacking(stacked)
    return panel


def _now() -> list[stat.Panel]:
    day = 86400.0
    age, verified = "deploy_agent_backup_last_timestamp_seconds", "deploy_agent_backup_last_verified_timestamp_seconds"
    waits = "(deploy_agent_needs_operator + deploy_agent_deploys_waiting_for_approval)"
    return [
        _stat(
            "Waits for a person",
            "1: a deploy could not be undone, or waits until its restore is allowed. See deploy-agent show.",
            of_project(waits),
            *BAD_FROM_ONE,
        ),
        _stat(
            "Last backup",
            "How old it is. The alert comes after two days.",
            of_project(f"(time() - {age})"),
            *((None, GREEN), (1.5 * day, YELLOW), (2 * day, RED)),
            unit="s",
            without=("none", YELLOW),
        ),
        _stat(
            "Last verified backup",
            "How long ago a backup was restored and compared.",
            of_project(f"(time() - {verified})"),
            *((None, GREEN), (7 * day, YELLOW), (8 * day, RED)),
            unit="s",
            without=("never", YELLOW),
        ),
        _stat(
            "Pending migrations",
            "Files that the database does not have.",
            of_project("deploy_agent_pending_migrations"),
            *((None, GREEN), (1, YELLOW)),
        ),
        _stat(
            "Drift",
            "1: the schema was changed beside the migrations since the last deploy. deploy-agent plan names what.",
            of_project("deploy_agent_drift"),
            *((None, GREEN), (1, YELLOW)),
        ),
        _stat(
            "Failing checks",
            "Checks of the last deploy that did not pass.",
            of_project("sum by (job, instance) (deploy_agent_checks_not_passed)"),
            *((None, GREEN), (1, YELLOW)),
        ),
    ]


def _deploys() -> list[object]:
    mean = (
        "sum by (job, instance, step) (increase(deploy_agent_step_duration_seconds_sum[$__range])) / "
        "(sum by (job, instance, step) (increase(deploy_agent_step_duration_seconds_count[$__range])) > 0)"
    )
    return [
        _lines(
            "Deploys",
            "How many ended, and how.",
            of_project("increase(deploy_agent_deploys_total[$__rate_interval])"),
            "{{project}} {{outcome}}",
            bars=True,
        ),
        _lines(
            "Running deploy",
            "How long it has been in its state. The alert comes after an hour.",
            of_project("deploy_agent_deploy_state_age_seconds"),
            "{{project}} {{state}}",
            unit="s",
        ),
        bargauge.Panel()
        .title("Time of a step")
        .description("Mean over the time that is shown.")
        .datasource(SOURCE)
        .unit("s")
        .min(0)
        .height(8)
        .span(8)
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .thresholds(_steps((None, GREEN)))
        .with_target(_ask(of_project(f"({mean})"), "{{project}} {{step}}", instant=True)),
        _lines(
            "Checks",
            "Runs of the runbook's checks, by verdict.",
            of_project("sum by (job, instance, verdict) (increase(deploy_agent_checks_total[$__rate_interval]))"),
            "{{project}} {{verdict}}",
            bars=True,
        ),
        _lines(
            "Lock waits",
            "How often a file was rolled back and tried again because of a lock.",
            of_project("increase(deploy_agent_lock_waits_total[$__rate_interval])"),
            "{{project}}",
            bars=True,
        ),
        _lines(
            "Rungs of the ladder",
            "1 rollback, 2 rollback scripts, 3 targeted restore, 4 in-place restore, 5 by the platform.",
            of_project("(increase(deploy_agent_restore_rungs_total[$__rate_interval]) > 0)"),
            "{{project}} rung {{rung}} ok={{ok}}",
            bars=True,
        ),
    ]


def _around() -> list[object]:
    return [
        statetimeline.Panel()
        .title("Conditions")
        .description("What the agent needs to deploy: its store, its engine, the database, a plan that can run.")
        .datasource(SOURCE)
        .height(8)
        .span(8)
        .show_value(kinds.VisibilityMode.NEVER)
        .merge_values(True)
        .thresholds(_steps((None, RED), (1, GREEN)))
        .with_target(_ask(of_project("deploy_agent_condition_ok"), "{{project}} {{condition}}")),
        _lines(
            "Size of the last backup",
            "A sudden drop is worth a look.",
            of_project("deploy_agent_backup_size_bytes"),
            "{{project}}",
            unit="bytes",
        ),
        _lines(
            "WAL kept by replication slots",
            "It grows while a slot's reader stands still, and fills the disk.",
            of_project("deploy_agent_replication_slot_retained_bytes"),
            "{{project}} {{slot}}",
            unit="bytes",
        ),
        _lines(
            "Backups",
            "By state. A damaged one cannot be restored.",
            of_project("deploy_agent_backups"),
            "{{project}} {{state}}",
        ),
        _lines(
            "Messages not delivered",
            "Pending ones are tried again; dead ones were given up.",
            of_project("deploy_agent_notifications_undelivered"),
            "{{project}} {{target}} {{state}}",
        ),
    ]


def dashboard_json() -> str:
    """The dashboard as Grafana imports it."""
    board = (
        build.Dashboard("Supabase deploy agent")
        .uid("supabase-deploy-agent")
        .description("Deploys, backups and what waits for a person, from the agent's metrics (docs/metrics.md).")
        .tags(["supabase", "postgresql", "deploy"])
        .editable()
        .refresh("1m")
        .time("now-7d", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            build.QueryVariable("project")
            .label("Project")
            .datasource(SOURCE)
            .query("label_values(deploy_agent_build_info, project)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    for title, panels in (("Now", _now()), ("Deploys", _deploys()), ("Around them", _around())):
        board = board.with_row(build.Row(title))
        for panel in panels:
            board = board.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"
