//! Reliability of the predicted probabilities.

use super::short;
use crate::Picture;
use crate::chart::frame::{Axis, Entry, Frame, HEIGHT, Mark, not_defined, thin};
use crate::chart::scale::{Scale, Tick};
use crate::drawing::color::Role;
use crate::drawing::{Anchor, Shape, Stroke, Text};
use crate::number::{count, metric, short_count};

/// Predicted against observed share of the positive class.
#[derive(Debug, Clone, Default)]
pub struct Reliability {
    /// The class whose probability the score is.
    pub positive: String,
    /// Bins by score; their order does not matter.
    pub bins: Vec<ReliabilityBin>,
    /// Brier score, shown beside the curve.
    pub brier: Option<f64>,
}

/// Rows of similar score.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReliabilityBin {
    /// Mean of their scores, 0 to 1.
    pub mean_score: f64,
    /// How many rows.
    pub n: u64,
    /// How many of them are of the positive class; at most `n`.
    pub n_positive: u64,
}

/// Height of the strip of counts under the curve.
const STRIP: f32 = 58.0;

/// Observed share of positives against the mean score of each bin, with 95 % Wilson intervals and the rows of each bin.
pub fn reliability(reliability: &Reliability) -> Picture {
    const NAME: &str = "reliability";
    const TITLE: &str = "Reliability of the score";
    let mut bins: Vec<ReliabilityBin> = reliability
        .bins
        .iter()
        .copied()
        .filter(|bin| bin.n > 0 && bin.n_positive <= bin.n && (0.0..=1.0).contains(&bin.mean_score))
        .collect();
    bins.sort_by(|a, b| a.mean_score.total_cmp(&b.mean_score));
    if bins.is_empty() {
        return not_defined(NAME, TITLE, "no row was scored");
    }
    let n_rows = bins.iter().fold(0_u64, |sum, bin| sum.saturating_add(bin.n));
    let said: Vec<String> = bins
        .iter()
        .take(20)
        .map(|b| format!("{} predicted, {} observed", metric(b.mean_score), metric(b.n_positive as f64 / b.n as f64)))
        .collect();
    let description = format!("Reliability over {} rows in bins: {}.", count(n_rows), said.join("; "));
    let subtitle = reliability.brier.map_or(String::new(), |brier| format!("Brier score {}", metric(brier)));
    let mut frame = Frame::new(NAME, TITLE, &subtitle, description, HEIGHT);
    frame.legend_rows(&[
        Entry { mark: Mark::Dot, role: Role::Series(0), label: "observed, with 95 % interval".to_owned() },
        Entry { mark: Mark::Dashed, role: Role::Muted, label: "observed = predicted".to_owned() },
    ]);

    let (left, right, bottom) = (frame.left + 66.0, frame.right, frame.bottom - 40.0);
    let plot = frame.area(left, frame.top + 6.0, right, bottom - STRIP - 12.0, Scale::UNIT, Scale::UNIT);
    let most = bins.iter().map(|bin| bin.n).max().unwrap_or(1);
    let strip = frame.area(
        left,
        bottom - STRIP,
        right,
        bottom,
        Scale::UNIT,
        Scale::Linear { low: 0.0, high: most as f64 * 1.35 },
    );
    frame.y_axis(&plot, &Axis::new(format!("observed share of {}", short(&reliability.positive)), Scale::UNIT, 5));
    frame.picture.line((plot.left, plot.bottom), (plot.right, plot.bottom), Stroke::solid(Role::Muted, 1.2));
    let count_ticks = [0, most].map(|n| Tick { value: n as f64, label: short_count(n) }).to_vec();
    frame.y_axis(&strip, &Axis { title: "rows".to_owned(), scale: Scale::UNIT, ticks: count_ticks });
    let x_title = format!("mean score of the bin (predicted probability of {})", short(&reliability.positive));
    frame.x_axis(&strip, &Axis::new(x_title, Scale::UNIT, 10), false);

    frame.picture.line(plot.at((0.0, 0.0)), plot.at((1.0, 1.0)), Stroke::dashed(Role::Muted, 1.5));
    let role = Role::Series(0);
    let observed = |bin: &ReliabilityBin| plot.at((bin.mean_score, bin.n_positive as f64 / bin.n as f64));
    frame.picture.push(Shape::Polyline { points: thin(bins.iter().map(observed)), stroke: Stroke::solid(role, 1.6) });
    for bin in &bins {
        let (low, high) = wilson(bin.n_positive, bin.n);
        let x = plot.x(bin.mean_score);
        let (top, bottom) = (plot.y(high), plot.y(low));
        frame.picture.line((x, bottom), (x, top), Stroke::solid(role, 1.6));
        for end in [top, bottom] {
            frame.picture.line((x - 4.0, end), (x + 4.0, end), Stroke::solid(role, 1.6));
        }
        frame.picture.circle(observed(bin), 4.5, role);
        let y = strip.y(bin.n as f64);
        frame.picture.rect((x - 5.0, y), (10.0, strip.bottom - y), role);
    }
    if bins.len() <= 12 {
        label_counts(&mut frame, &bins, |bin| (strip.x(bin.mean_score), strip.y(bin.n as f64) - 4.0));
    }
    frame.picture
}

/// Writes the rows of each bin above its bar, leaving out what would run into its neighbour.
fn label_counts(frame: &mut Frame, bins: &[ReliabilityBin], at: impl Fn(&ReliabilityBin) -> (f32, f32)) {
    let mut free_from = f32::MIN;
    for bin in bins {
        let (x, y) = at(bin);
        if x - 16.0 >= free_from {
            let label = Text::new((x, y), short_count(bin.n), 10.5).anchor(Anchor::Middle).role(Role::Muted);
            frame.picture.text(label);
            free_from = x + 16.0;
        }
    }
}

/// 95 % interval of a proportion. Wilson, *JASA* 22 (1927).
fn wilson(hits: u64, n: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    let n = n as f64;
    let p = hits as f64 / n;
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    (((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    // By hand for 0 of 10: high = z²/n / (1 + z²/n) = 0.38415 / 1.38415; 39 of 44 stands in the first version's figures.
    #[rstest]
    #[case(0, 10, 0.0, 0.2775)]
    #[case(10, 10, 0.7225, 1.0)]
    #[case(39, 44, 0.7602, 0.9505)]
    fn wilson_intervals(#[case] hits: u64, #[case] n: u64, #[case] want_low: f64, #[case] want_high: f64) {
        let (low, high) = wilson(hits, n);
        assert!((low - want_low).abs() < 5e-5 && (high - want_high).abs() < 5e-5, "{low} {high}");
    }

    #[test]
    fn impossible_bins_are_left_out() {
        let bin = |mean_score, n, n_positive| ReliabilityBin { mean_score, n, n_positive };
        let bins = vec![bin(f64::NAN, 5, 1), bin(0.5, 0, 0), bin(0.5, 2, 3), bin(1.5, 2, 1)];
        let picture = reliability(&Reliability { positive: "attack".to_owned(), bins, brier: None });
        assert_eq!(picture.description(), "Not defined: no row was scored.");
    }

    #[test]
    fn the_description_reads_the_curve_aloud() {
        let bins = vec![ReliabilityBin { mean_score: 0.9, n: 10, n_positive: 8 }];
        let picture = reliability(&Reliability { positive: "attack".to_owned(), bins, brier: Some(0.1) });
        assert_eq!(picture.description(), "Reliability over 10 rows in bins: 0.900 predicted, 0.800 observed.");
    }
}
