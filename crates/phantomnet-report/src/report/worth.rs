//! The top of the page: what the model is worth, and how far to trust that.

use super::model::{Condition, Estimate, Gate, Metric, Rate, Report};
use super::table::{Cell, table};
use crate::markup::Markup;
use crate::number::{count, interval, metric};
use crate::visible::one_line;

/// An interval wider than this calls for a warning.
const WIDE: f64 = 0.1;
/// Characters of a name that are shown.
const NAME_CHARS: usize = 120;

pub(super) fn masthead(m: &mut Markup, report: &Report) {
    m.tag("h1", &[], |m| {
        m.text(&one_line(&report.title, 200));
        if report.synthetic {
            m.verbatim(" ");
            m.leaf("span", &[("class", "badge")], "synthetic data");
        }
    });
    if let Some(summary) = &report.summary {
        m.leaf("p", &[("class", "summary")], &one_line(summary, 600));
    }
    let origin = &report.provenance;
    let facts = [("experiment", &origin.experiment), ("run", &origin.run_id), ("started", &origin.started)];
    m.tag("p", &[("class", "note")], |m| {
        for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            m.tag("span", &[("class", "fact")], |m| {
                m.text(name);
                m.verbatim(" ");
                m.leaf("b", &[], &one_line(value, NAME_CHARS));
            });
        }
    });
}

pub(super) fn verdict(m: &mut Markup, report: &Report) {
    m.tag("section", &[("id", "verdict")], |m| {
        m.leaf("h2", &[], "What the model is worth");
        if let Some(gate) = &report.gate {
            banner(m, gate);
        }
        if let Some(lead) = lead(report) {
            m.leaf("p", &[("class", "lead")], &lead);
        }
        let warnings = warnings(report);
        if !warnings.is_empty() {
            m.tag("div", &[("class", "warnings"), ("role", "note")], |m| {
                m.leaf("h3", &[], "Read this with care");
                m.tag("ul", &[], |m| warnings.iter().for_each(|warning| m.leaf("li", &[], &one_line(warning, 600))));
            });
        }
        if !report.headline.is_empty() || !report.rates.is_empty() {
            m.tag("ul", &[("class", "cards")], |m| {
                report.headline.iter().take(4).for_each(|metric| metric_card(m, metric));
                report.rates.iter().for_each(|rate| rate_card(m, rate));
            });
        }
        if let Some(gate) = report.gate.as_ref().filter(|gate| !gate.conditions.is_empty()) {
            conditions(m, gate);
        }
        if !report.headline.is_empty() {
            headline(m, &report.headline);
        }
    });
}

fn banner(m: &mut Markup, gate: &Gate) {
    let n_met = gate.conditions.iter().filter(|condition| condition.met).count();
    let (class, word) = if gate.passed { ("banner good", "✓ Gate met") } else { ("banner bad", "✗ Gate not met") };
    m.tag("p", &[("class", class)], |m| {
        m.leaf("strong", &[], word);
        m.text(&format!(" {n_met} of {} conditions hold.", gate.conditions.len()));
    });
}

fn lead(report: &Report) -> Option<String> {
    let first = report.headline.first()?;
    let mut lead = format!("{} {}", one_line(&first.name, NAME_CHARS), metric(first.estimate.value));
    if let Some(ends) = first.estimate.defined_interval() {
        lead += &format!(" (95 % interval {})", interval(ends));
    }
    if let Some(n) = report.n_holdout {
        lead += &format!(", measured on {} rows kept out of training", count(n));
    }
    if let Some(baseline) = first.baseline {
        lead += &format!("; always answering the most frequent class gives {}", metric(baseline));
    }
    Some(lead + ".")
}

fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.synthetic {
        warnings
            .push("The data were made by a generator. Nothing here says how the model does on real events.".to_owned());
    }
    let wide = |m: &&Metric| m.estimate.defined_interval().is_some_and(|(low, high)| high - low > WIDE);
    if let (Some(wide), Some(n)) = (report.headline.iter().find(wide), report.n_holdout)
        && let Some(ends) = wide.estimate.defined_interval()
    {
        warnings.push(format!(
            "The hold-out has only {} rows: {} may lie anywhere from {}, and smaller differences between two runs mean nothing.",
            count(n),
            wide.name,
            interval(ends)
        ));
    }
    // Only the first: a baseline that answers one class always has a recall of 1 for it.
    if let Some(metric) = report.headline.first().filter(|metric| reaches_baseline(metric)) {
        warnings.push(format!(
            "The interval of {} reaches the majority baseline: it is not shown that the model does better than guessing the most frequent class.",
            metric.name
        ));
    }
    for condition in report.gate.iter().flat_map(|gate| &gate.conditions).filter(|condition| is_luck(condition)) {
        warnings.push(format!(
            "{} meets its bound, but its interval goes past it: with other rows held out the gate might not be met.",
            condition.metric
        ));
    }
    warnings.extend(report.warnings.iter().cloned());
    warnings
}

fn reaches_baseline(metric: &Metric) -> bool {
    match (metric.estimate.defined_interval(), metric.baseline, metric.higher_is_better) {
        (Some((low, _)), Some(baseline), Some(true)) => low <= baseline,
        (Some((_, high)), Some(baseline), Some(false)) => high >= baseline,
        _ => false,
    }
}

fn is_luck(condition: &Condition) -> bool {
    let past = |(low, high): (f64, f64)| {
        if condition.at_least { low < condition.required } else { high > condition.required }
    };
    condition.met && condition.measured.defined_interval().is_some_and(past)
}

fn metric_card(m: &mut Markup, shown: &Metric) {
    let baseline = shown.baseline.map(|baseline| format!("baseline {}", metric(baseline)));
    card(m, &shown.name, &metric(shown.estimate.value), &shown.estimate, baseline, metric);
}

fn rate_card(m: &mut Markup, rate: &Rate) {
    card(m, &rate.name, &per_1000(rate.per_1000.value), &rate.per_1000, None, per_1000);
}

fn per_1000(value: f64) -> String {
    if value.is_finite() && value < 1e6 { format!("{value:.1}") } else { metric(value) }
}

fn card(m: &mut Markup, name: &str, value: &str, shown: &Estimate, more: Option<String>, number: fn(f64) -> String) {
    m.tag("li", &[], |m| {
        m.leaf("span", &[("class", "name")], &one_line(name, NAME_CHARS));
        m.leaf("span", &[("class", "value")], value);
        if let Some((low, high)) = shown.defined_interval() {
            m.leaf("span", &[("class", "note")], &format!("95 %: {} to {}", number(low), number(high)));
        }
        if let Some(more) = more {
            m.leaf("span", &[("class", "note")], &more);
        }
    });
}

fn conditions(m: &mut Markup, gate: &Gate) {
    let columns =
        [("condition", false), ("required", true), ("measured", true), ("95 % interval", true), ("verdict", false)];
    let rows = gate.conditions.iter().map(|condition| {
        let bound = if condition.at_least { "at least" } else { "at most" };
        let mut verdict = Markup::default();
        let (class, word) = if condition.met { ("good", "✓ met") } else { ("bad", "✗ not met") };
        verdict.leaf("span", &[("class", class)], word);
        vec![
            Cell::Code(condition.metric.clone()),
            Cell::Text(format!("{bound} {}", condition.required)),
            Cell::Text(metric(condition.measured.value)),
            interval_cell(&condition.measured),
            Cell::Built(verdict),
        ]
    });
    table(m, "The gate, condition by condition", &columns, rows);
}

fn headline(m: &mut Markup, headline: &[Metric]) {
    let columns = [
        ("metric", false),
        ("model", true),
        ("95 % interval", true),
        ("majority baseline", true),
        ("0 to 1: interval, value, baseline", false),
    ];
    let rows = headline.iter().map(|shown| {
        vec![
            Cell::Code(shown.name.clone()),
            Cell::Text(metric(shown.estimate.value)),
            interval_cell(&shown.estimate),
            Cell::Text(shown.baseline.map_or_else(String::new, metric)),
            Cell::Built(strip(shown)),
        ]
    });
    table(m, "Beside the majority baseline, on the hold-out", &columns, rows);
}

pub(super) fn interval_cell(estimate: &Estimate) -> Cell {
    Cell::Text(estimate.defined_interval().map_or_else(String::new, interval))
}

/// Interval, value and baseline of a metric between 0 and 1 as a small drawing; the table beside it says the same.
fn strip(shown: &Metric) -> Markup {
    let mut drawing = Markup::default();
    let unit = |value: f64| (0.0..=1.0).contains(&value);
    if !unit(shown.estimate.value) {
        return drawing;
    }
    let x = |value: f64| format!("{:.1}", 4.0 + 152.0 * value.clamp(0.0, 1.0));
    let attrs = [("viewBox", "0 0 160 20"), ("width", "160"), ("height", "20"), ("aria-hidden", "true")];
    drawing.tag("svg", &attrs, |m| {
        m.empty("rect", &[("x", "4"), ("y", "9"), ("width", "152"), ("height", "2"), ("class", "f-grid")]);
        if let Some((low, high)) = shown.estimate.defined_interval() {
            let (x1, x2) = (x(low), x(high));
            let ends = [("x1", x1.as_str()), ("x2", &x2), ("y1", "10"), ("y2", "10")];
            let look = [("stroke-width", "6"), ("stroke-opacity", "0.45"), ("class", "l-s0")];
            m.empty("line", &[&ends[..], &look].concat());
        }
        if let Some(baseline) = shown.baseline.filter(|&b| unit(b)) {
            let at = x(baseline);
            let ends = [("x1", at.as_str()), ("x2", &at), ("y1", "2"), ("y2", "18")];
            m.empty("line", &[&ends[..], &[("stroke-width", "2.5"), ("class", "l-s1")]].concat());
        }
        m.empty("circle", &[("cx", &x(shown.estimate.value)), ("cy", "10"), ("r", "4.5"), ("class", "f-s0")]);
    });
    drawing
}
