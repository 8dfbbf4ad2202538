//! What the page says, and what it may not hold.

use phantomnet_report::*;

use crate::hostile::report_of;

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let page = render_report(&report_of("x"));
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    assert!(page.contains(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:\"/>"
    ));
    let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http://", "https://", "<script", "<link", "<iframe", "url(", "@import", "javascript:"] {
        assert!(!without_namespace.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn an_empty_report_is_a_page_without_empty_parts() {
    let page = render_report(&Report { title: "nothing".to_owned(), ..Report::default() });
    assert!(page.contains("<h1>nothing</h1>"));
    for absent in ["<table", "<figure", "synthetic data", "Gate", "Read this with care"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

fn judged(low: f64, high: f64, baseline: f64) -> Report {
    Report {
        n_holdout: Some(44),
        headline: vec![Metric {
            name: "accuracy".to_owned(),
            estimate: Estimate { value: (low + high) / 2.0, interval: Some((low, high)) },
            baseline: Some(baseline),
            higher_is_better: Some(true),
        }],
        ..Report::default()
    }
}

#[test]
fn a_small_hold_out_is_warned_of() {
    let wide = render_report(&judged(0.76, 0.95, 0.636));
    assert!(wide.contains("The hold-out has only 44 rows: accuracy may lie anywhere from 0.760 to 0.950,"));
    assert!(!wide.contains("reaches the majority baseline"));
    assert!(!render_report(&judged(0.85, 0.94, 0.636)).contains("Read this with care"));
}

#[test]
fn a_model_no_better_than_guessing_is_called_so() {
    assert!(render_report(&judged(0.60, 0.69, 0.636)).contains("reaches the majority baseline"));
}

#[test]
fn a_condition_met_by_luck_is_told_apart_from_one_met_for_sure() {
    let gate = |low: f64| Report {
        gate: Some(Gate {
            passed: true,
            conditions: vec![Condition {
                metric: "accuracy".to_owned(),
                required: 0.85,
                at_least: true,
                measured: Estimate { value: 0.9, interval: Some((low, 0.95)) },
                met: true,
            }],
        }),
        ..Report::default()
    };
    let luck = render_report(&gate(0.76));
    assert!(luck.contains("✓ Gate met") && luck.contains("with other rows held out the gate might not be met"));
    assert!(!render_report(&gate(0.86)).contains("might not be met"));
}

#[test]
fn worth_stands_before_everything_else() {
    let page = render_report(&report_of("x"));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(at("Gate not met") < at("<figure"));
    assert!(at("Beside the majority baseline") < at("<figure"));
    assert!(at("<figure") < at("id=\"configuration\""));
}
