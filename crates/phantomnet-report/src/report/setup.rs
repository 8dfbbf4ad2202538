//! The rest of the page: data, features, speed, and what it takes to do it again.

use super::model::{DataSummary, Report};
use super::table::{Cell, table};
use super::worth::interval_cell;
use crate::markup::Markup;
use crate::number::{count, metric, micros, percent};
use crate::visible::one_line;

/// Characters of a fact that are shown.
const FACT_CHARS: usize = 300;
/// Characters of the configuration that are shown.
const CONFIGURATION_CHARS: usize = 100_000;

pub(super) fn data(m: &mut Markup, report: &Report) {
    let Some(data) = &report.data else { return };
    m.tag("dl", &[], |m| {
        fact(m, "rows", &count(data.n_rows));
        let n_lines = data.n_rows.saturating_add(data.n_rejected);
        fact(m, "rejected lines", &format!("{} ({})", count(data.n_rejected), share(data.n_rejected, n_lines)));
        fact(m, "label", &data.label);
        if let Some(fingerprint) = &data.fingerprint {
            fact(m, "fingerprint", fingerprint);
        }
    });
    if !data.balance.is_empty() {
        balance(m, data);
    }
    if !data.files.is_empty() {
        let rows = data.files.iter().map(|file| {
            let optional = |n: Option<u64>| Cell::Text(n.map_or_else(String::new, count));
            vec![code(&file.path), optional(file.n_rows), optional(file.n_bytes)]
        });
        table(m, "Files read", &[("file", false), ("rows", true), ("bytes", true)], rows);
    }
    if !data.missing.is_empty() {
        let rows = data.missing.iter().map(|column| {
            let share = share(column.n_missing, data.n_rows);
            vec![code(&column.column), Cell::Text(count(column.n_missing)), Cell::Text(share)]
        });
        table(m, "Missing values", &[("column", false), ("rows without a value", true), ("share", true)], rows);
    }
    if !data.rejected.is_empty() {
        let rows = data.rejected.iter().map(|line| {
            let place = format!("{}:{}", line.file, line.line);
            vec![code(&place), Cell::Text(line.reason.clone())]
        });
        let caption = match data.rejected.len() as u64 {
            n if n < data.n_rejected => format!("Rejected lines, the first {n}"),
            _ => "Rejected lines".to_owned(),
        };
        table(m, &caption, &[("line", false), ("reason", false)], rows);
    }
}

fn balance(m: &mut Markup, data: &DataSummary) {
    let total = data.balance.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
    let rows = data.balance.iter().map(|(class, n)| {
        let mut bar = Markup::default();
        let width = format!("{:.1}", if total == 0 { 0.0 } else { 160.0 * *n as f64 / total as f64 });
        bar.tag(
            "svg",
            &[("viewBox", "0 0 160 12"), ("width", "160"), ("height", "12"), ("aria-hidden", "true")],
            |m| {
                m.empty("rect", &[("width", "160"), ("height", "12"), ("class", "f-grid")]);
                m.empty("rect", &[("width", &width), ("height", "12"), ("class", "f-s0")]);
            },
        );
        vec![code(class), Cell::Text(count(*n)), Cell::Text(share(*n, total)), Cell::Built(bar)]
    });
    let columns = [("class", false), ("rows", true), ("share", true), ("", false)];
    table(m, "Balance of the label", &columns, rows);
}

pub(super) fn features(m: &mut Markup, report: &Report) {
    let columns = [("feature", false), ("expression", false), ("kind", false), ("importance", true), ("missing", true)];
    let rows = report.features.iter().map(|feature| {
        vec![
            code(&feature.name),
            code(&feature.expression),
            Cell::Text(feature.kind.clone()),
            Cell::Text(feature.importance.map_or_else(String::new, metric)),
            Cell::Text(feature.missing_share.map_or_else(String::new, percent)),
        ]
    });
    table(m, "What the model sees of an event", &columns, rows);
}

pub(super) fn latency(m: &mut Markup, report: &Report) {
    let Some(latency) = &report.latency else { return };
    let rows = latency.percentiles_us.iter().map(|(name, us)| vec![code(name), Cell::Text(micros(*us))]);
    table(m, "One event, from raw line to verdict", &[("percentile", false), ("time", true)], rows);
    if let Some(rate) = latency.rows_per_second {
        m.leaf("p", &[], &format!("In batches: {} rows per second.", rows_per_second(rate)));
    }
}

fn rows_per_second(rate: f64) -> String {
    if rate.is_finite() && rate >= 0.0 { count(rate.round() as u64) } else { metric(rate) }
}

pub(super) fn metrics(m: &mut Markup, report: &Report) {
    let columns = [("metric", false), ("value", true), ("95 % interval", true), ("majority baseline", true)];
    let rows = report.metrics.iter().map(|shown| {
        vec![
            code(&shown.name),
            Cell::Text(metric(shown.estimate.value)),
            interval_cell(&shown.estimate),
            Cell::Text(shown.baseline.map_or_else(String::new, metric)),
        ]
    });
    table(m, "Every metric of the run", &columns, rows);
}

pub(super) fn timings(m: &mut Markup, report: &Report) {
    let rows = report.timings.iter().map(|(stage, seconds)| vec![code(stage), Cell::Text(micros(seconds * 1e6))]);
    table(m, "Time of each stage", &[("stage", false), ("time", true)], rows);
}

pub(super) fn configuration(m: &mut Markup, report: &Report) {
    let Some(toml) = &report.configuration else { return };
    let shown: String = toml.chars().take(CONFIGURATION_CHARS).collect();
    m.tag("pre", &[("class", "code"), ("tabindex", "0")], |m| m.text(&shown));
    if shown.len() < toml.len() {
        m.leaf("p", &[("class", "note")], "The rest is not shown; the run keeps the whole configuration.");
    }
}

pub(super) fn commands(m: &mut Markup, report: &Report) {
    let lines: Vec<String> = report.commands.iter().map(|command| one_line(command, 2000)).collect();
    m.tag("pre", &[("class", "code"), ("tabindex", "0")], |m| m.text(&lines.join("\n")));
}

pub(super) fn provenance(m: &mut Markup, report: &Report) {
    let origin = &report.provenance;
    let seed = origin.seed.map(|seed| seed.to_string());
    let facts = [
        ("experiment", &origin.experiment),
        ("run", &origin.run_id),
        ("tracked in", &origin.tracking_uri),
        ("started", &origin.started),
        ("seed", &seed),
        ("git commit", &origin.git_commit),
    ];
    m.tag("dl", &[], |m| {
        fact(m, "version", &format!("phantomnet {}", origin.version));
        facts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).for_each(|(n, v)| fact(m, n, v));
    });
}

fn fact(m: &mut Markup, name: &str, value: &str) {
    m.leaf("dt", &[], name);
    m.tag("dd", &[], |m| m.leaf("code", &[], &one_line(value, FACT_CHARS)));
}

fn code(text: &str) -> Cell {
    Cell::Code(text.to_owned())
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { percent(part as f64 / whole as f64) }
}
