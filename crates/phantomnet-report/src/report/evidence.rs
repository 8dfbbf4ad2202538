//! The middle of the page: pictures, classes, folds and the rows that went wrong.

use super::model::{CrossValidated, Estimate, Report, WrongRow};
use super::table::{Cell, Column, table};
use super::worth::interval_cell;
use crate::markup::Markup;
use crate::number::{count, metric};
use crate::visible::one_line;

/// Characters of a raw line that are shown.
const RAW_CHARS: usize = 300;
const MAX_ERRORS: usize = 100;
/// Folds with a column of their own.
const MAX_FOLDS: usize = 10;

pub(super) fn pictures(m: &mut Markup, report: &Report) {
    m.tag("div", &[("class", "pictures")], |m| {
        for picture in &report.pictures {
            let attrs = [("class", "scroll"), ("tabindex", "0"), ("aria-label", picture.title())];
            m.tag("figure", &attrs, |m| picture.write_svg(m));
        }
    });
}

pub(super) fn classes(m: &mut Markup, report: &Report) {
    let columns = [
        ("class", false),
        ("precision", true),
        ("95 % interval", true),
        ("recall", true),
        ("95 % interval", true),
        ("F1", true),
        ("95 % interval", true),
        ("rows", true),
    ];
    let rows = report.classes.iter().map(|class| {
        let pair = |estimate: &Estimate| [Cell::Text(metric(estimate.value)), interval_cell(estimate)];
        let mut cells = vec![Cell::Code(class.class.clone())];
        cells.extend([&class.precision, &class.recall, &class.f1].into_iter().flat_map(pair));
        cells.push(Cell::Text(count(class.support)));
        cells
    });
    table(m, "Each class on the hold-out", &columns, rows);
}

pub(super) fn cross_validation(m: &mut Markup, report: &Report) {
    let n_folds = report.cross_validation.iter().map(|metric| metric.folds.len()).max().unwrap_or(0);
    const FOLDS: [Column; MAX_FOLDS] = [
        ("fold 1", true),
        ("fold 2", true),
        ("fold 3", true),
        ("fold 4", true),
        ("fold 5", true),
        ("fold 6", true),
        ("fold 7", true),
        ("fold 8", true),
        ("fold 9", true),
        ("fold 10", true),
    ];
    let mut columns = vec![("metric", false), ("mean", true), ("std", true)];
    columns.extend(&FOLDS[..n_folds.min(MAX_FOLDS)]);
    let rows = report.cross_validation.iter().map(|shown: &CrossValidated| {
        let mut cells = vec![Cell::Code(shown.metric.clone())];
        cells.extend(
            [shown.mean, shown.std].into_iter().chain(shown.folds.iter().copied()).map(|v| Cell::Text(metric(v))),
        );
        cells
    });
    table(m, "Metrics over the folds of the training rows", &columns, rows);
    if n_folds > MAX_FOLDS {
        m.leaf("p", &[("class", "note")], &format!("{} more folds are not shown.", n_folds - MAX_FOLDS));
    }
}

pub(super) fn worst_errors(m: &mut Markup, report: &Report) {
    m.leaf("p", &[("class", "note")], "Rows of the hold-out that the model judged wrong, the surest first.");
    m.tag("ol", &[("class", "errors")], |m| {
        report.worst_errors.iter().take(MAX_ERRORS).for_each(|row| m.tag("li", &[], |m| wrong_row(m, row)));
    });
}

fn wrong_row(m: &mut Markup, row: &WrongRow) {
    m.tag("p", &[], |m| {
        m.verbatim("score ");
        m.leaf("b", &[], &metric(row.score));
        m.verbatim(": is ");
        m.leaf("b", &[], &one_line(&row.true_class, 80));
        m.verbatim(", was called ");
        m.leaf("b", &[("class", "bad")], &one_line(&row.predicted_class, 80));
        let place = row.line.map_or_else(|| row.file.clone(), |line| format!("{}:{line}", row.file));
        m.verbatim(" ");
        m.leaf("code", &[("class", "place")], &one_line(&place, 200));
    });
    m.leaf("pre", &[], &one_line(&row.raw, RAW_CHARS));
}
