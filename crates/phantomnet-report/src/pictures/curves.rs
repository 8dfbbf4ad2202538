//! ROC and precision-recall curves, one a class.

use super::short;
use crate::Picture;
use crate::chart::frame::{Axis, Entry, Frame, HEIGHT, Mark, Plot, not_defined, thin};
use crate::chart::scale::Scale;
use crate::drawing::color::{N_SERIES, Role};
use crate::drawing::{Shape, Stroke};
use crate::number::{count, metric};

/// Receiver operating characteristic of one class against the rest.
#[derive(Debug, Clone, Default)]
pub struct RocCurve {
    /// Name of the class.
    pub class: String,
    /// (false positive rate, true positive rate), each 0 to 1, from (0, 0) to (1, 1).
    pub points: Vec<(f64, f64)>,
    /// Area under the curve; NaN when not defined.
    pub auc: f64,
    /// 95 % interval of the area.
    pub interval: Option<(f64, f64)>,
    /// The point at the decision threshold.
    pub at_threshold: Option<(f64, f64)>,
}

/// Precision against recall of one class.
#[derive(Debug, Clone, Default)]
pub struct PrCurve {
    /// Name of the class.
    pub class: String,
    /// (recall, precision), each 0 to 1.
    pub points: Vec<(f64, f64)>,
    /// Area under the curve as average precision; NaN when not defined.
    pub average_precision: f64,
    /// 95 % interval of the average precision.
    pub interval: Option<(f64, f64)>,
    /// Share of rows of this class: the precision of guessing.
    pub base_rate: f64,
    /// The point at the decision threshold.
    pub at_threshold: Option<(f64, f64)>,
}

const LEGEND_WIDTH: f32 = 252.0;

/// ROC curves: one for two classes, one a class (against the rest) for more; at most seven are drawn.
pub fn roc(curves: &[RocCurve]) -> Picture {
    const TITLE: &str = "ROC curve";
    let lines: Vec<Line<'_>> = curves
        .iter()
        .filter(|curve| !curve.auc.is_nan())
        .map(|curve| Line {
            class: &curve.class,
            points: &curve.points,
            at_threshold: curve.at_threshold,
            figure: figure("AUC", curve.auc, curve.interval),
            guessing: Guessing::Diagonal,
        })
        .collect();
    let subtitle = if curves.len() > 1 { "each class against the rest" } else { "" };
    let labels = Labels {
        name: "roc",
        title: TITLE,
        subtitle,
        x: "false positive rate (false alarms / harmless events)",
        y: "true positive rate",
    };
    draw(&labels, &lines, curves.len())
        .unwrap_or_else(|| not_defined("roc", TITLE, "the rows judged hold no two classes"))
}

/// Precision-recall curves with the base rate, which guessing reaches; at most seven are drawn.
pub fn precision_recall(curves: &[PrCurve]) -> Picture {
    const TITLE: &str = "Precision and recall";
    let lines: Vec<Line<'_>> = curves
        .iter()
        .filter(|curve| !curve.average_precision.is_nan())
        .map(|curve| Line {
            class: &curve.class,
            points: &curve.points,
            at_threshold: curve.at_threshold,
            figure: figure("AP", curve.average_precision, curve.interval),
            guessing: Guessing::BaseRate(curve.base_rate),
        })
        .collect();
    let labels = Labels {
        name: "precision_recall",
        title: TITLE,
        subtitle: "",
        x: "recall (share of the class that is found)",
        y: "precision",
    };
    draw(&labels, &lines, curves.len())
        .unwrap_or_else(|| not_defined("precision_recall", TITLE, "the rows judged hold no row of a positive class"))
}

struct Labels<'a> {
    name: &'static str,
    title: &'a str,
    subtitle: &'a str,
    x: &'a str,
    y: &'a str,
}

struct Line<'a> {
    class: &'a str,
    points: &'a [(f64, f64)],
    at_threshold: Option<(f64, f64)>,
    figure: String,
    guessing: Guessing,
}

/// What guessing reaches: the diagonal of an ROC curve, the share of the class in a precision-recall curve.
#[derive(Clone, Copy, PartialEq)]
enum Guessing {
    Diagonal,
    BaseRate(f64),
}

fn figure(name: &str, value: f64, interval: Option<(f64, f64)>) -> String {
    match interval {
        Some((low, high)) if low.is_finite() && high.is_finite() => {
            format!("{name} {} ({}–{})", metric(value), metric(low), metric(high))
        }
        _ => format!("{name} {}", metric(value)),
    }
}

/// Draws curves in the unit square; `None` when there is nothing to draw.
fn draw(labels: &Labels<'_>, lines: &[Line<'_>], n_classes: usize) -> Option<Picture> {
    let lines: Vec<(&Line<'_>, Vec<(f64, f64)>)> = lines
        .iter()
        .map(|line| (line, line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()))
        .filter(|(_, points): &(_, Vec<_>)| points.len() > 1)
        .take(N_SERIES)
        .collect();
    if lines.is_empty() {
        return None;
    }
    let said: Vec<String> = lines.iter().map(|(line, _)| format!("{}: {}", short(line.class), line.figure)).collect();
    let description = format!("{}. {}.", labels.title, said.join("; "));
    let mut frame = Frame::new(labels.name, labels.title, labels.subtitle, description, HEIGHT);

    let mut entries = Vec::new();
    for (i, (line, _)) in lines.iter().enumerate() {
        entries.push(Entry { mark: Mark::Line, role: Role::Series(i), label: line.class.to_owned() });
        entries.push(Entry { mark: Mark::Line, role: Role::Background, label: line.figure.clone() });
    }
    entries.push(match (lines[0].0.guessing, lines.len()) {
        (Guessing::Diagonal, _) => {
            Entry { mark: Mark::Dashed, role: Role::Muted, label: "guessing, AUC 0.500".to_owned() }
        }
        (Guessing::BaseRate(rate), 1) => {
            let label = format!("guessing (base rate), AP {}", metric(rate));
            Entry { mark: Mark::Dashed, role: Role::Series(0), label }
        }
        _ => Entry { mark: Mark::Dashed, role: Role::Muted, label: "base rate of the class".to_owned() },
    });
    if lines.iter().any(|(line, _)| line.at_threshold.is_some()) {
        entries.push(Entry { mark: Mark::Dot, role: Role::Foreground, label: "at the decision threshold".to_owned() });
    }
    if n_classes > lines.len() {
        let label = format!("{} more classes not drawn", count((n_classes - lines.len()) as u64));
        entries.push(Entry { mark: Mark::Line, role: Role::Background, label });
    }
    frame.legend_column(&entries, LEGEND_WIDTH);

    let unit = |title| Axis::new(title, Scale::UNIT, 5);
    let plot = frame.axes(&unit(labels.x), &unit(labels.y));
    for (i, (line, points)) in lines.iter().enumerate() {
        draw_line(&mut frame, &plot, Role::Series(i), line, points);
    }
    Some(frame.picture)
}

fn draw_line(frame: &mut Frame, plot: &Plot, role: Role, line: &Line<'_>, points: &[(f64, f64)]) {
    match line.guessing {
        Guessing::Diagonal => {
            frame.picture.line(plot.at((0.0, 0.0)), plot.at((1.0, 1.0)), Stroke::dashed(Role::Muted, 1.5));
        }
        Guessing::BaseRate(rate) if rate.is_finite() => {
            frame.picture.line(plot.at((0.0, rate)), plot.at((1.0, rate)), Stroke::dashed(role, 1.5));
        }
        Guessing::BaseRate(_) => {}
    }
    let points = thin(points.iter().map(|&point| plot.at(point)));
    frame.picture.push(Shape::Polyline { points, stroke: Stroke::solid(role, 2.4) });
    if let Some(at) = line.at_threshold.filter(|(x, y)| x.is_finite() && y.is_finite()) {
        frame.picture.circle(plot.at(at), 6.0, Role::Background);
        frame.picture.circle(plot.at(at), 4.5, Role::Foreground);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(class: &str) -> RocCurve {
        RocCurve {
            class: class.to_owned(),
            points: vec![(0.0, 0.0), (0.1, 0.8), (1.0, 1.0)],
            auc: 0.85,
            interval: Some((0.8, 0.9)),
            at_threshold: Some((0.1, 0.8)),
        }
    }

    #[test]
    fn the_legend_carries_area_and_interval() {
        let svg = roc(&[curve("attack")]).to_svg();
        assert!(svg.contains("AUC 0.850 (0.800–0.900)") && svg.contains("at the decision threshold"), "{svg}");
    }

    #[test]
    fn classes_beyond_the_palette_are_counted() {
        let curves: Vec<RocCurve> = (0..9).map(|i| curve(&format!("class {i}"))).collect();
        let svg = roc(&curves).to_svg();
        assert!(svg.contains("2 more classes not drawn") && !svg.contains("class 7"), "{svg}");
    }

    #[test]
    fn without_two_classes_there_is_no_curve() {
        for curves in
            [vec![], vec![RocCurve { auc: f64::NAN, ..curve("x") }], vec![RocCurve { points: vec![], ..curve("x") }]]
        {
            assert!(roc(&curves).description().starts_with("Not defined"));
        }
        assert!(precision_recall(&[PrCurve::default()]).description().starts_with("Not defined"));
    }

    #[test]
    fn the_base_rate_is_drawn_where_guessing_stands() {
        let curve = PrCurve {
            class: "attack".to_owned(),
            points: vec![(0.0, 1.0), (1.0, 0.5)],
            average_precision: 0.75,
            base_rate: 0.5,
            ..PrCurve::default()
        };
        assert!(precision_recall(&[curve]).to_svg().contains("guessing (base rate), AP 0.500"));
    }
}
