//! Distribution of the score by true class.

use super::{left_out, short};
use crate::Picture;
use crate::chart::frame::{Axis, Entry, Frame, HEIGHT, Mark, Plot, not_defined};
use crate::chart::scale::Scale;
use crate::drawing::color::{N_SERIES, Role};
use crate::drawing::{Fill, Shape, Stroke};
use crate::number::{count, metric};

/// Scores of the rows judged, by true class.
#[derive(Debug, Clone, Default)]
pub struct ScoreDistribution {
    /// The class whose probability the score is.
    pub positive: String,
    /// One entry a true class.
    pub classes: Vec<ClassScores>,
    /// Scores at or above it are flagged.
    pub decision_threshold: Option<f64>,
}

/// Scores of the rows of one true class.
#[derive(Debug, Clone, Default)]
pub struct ClassScores {
    /// Name of the class.
    pub class: String,
    /// Probabilities, 0 to 1.
    pub scores: Vec<f64>,
}

const N_BINS: usize = 40;
/// From this ratio of the fullest bin to the fullest bin of the smallest class on, counts stand on a log axis.
const SKEWED: f64 = 30.0;

/// Histogram of the score for each true class; the counts stand on a log axis where one class dwarfs another.
pub fn score_distribution(distribution: &ScoreDistribution) -> Picture {
    const NAME: &str = "score_distribution";
    const TITLE: &str = "Scores by true class";
    let (groups, n_left_out) = histograms(&distribution.classes);
    if groups.is_empty() {
        return not_defined(NAME, TITLE, "no row was scored");
    }
    let peak = |bins: &[u64; N_BINS]| bins.iter().copied().max().unwrap_or(0) as f64;
    let highest = groups.iter().map(|group| peak(&group.bins)).fold(0.0, f64::max);
    let lowest = groups.iter().map(|group| peak(&group.bins)).fold(f64::INFINITY, f64::min);
    let log = highest / lowest >= SKEWED;

    let said: Vec<String> = groups.iter().map(|g| format!("{}: {} rows", short(&g.name), count(g.n))).collect();
    let description =
        format!("Histogram of the score of class {}. {}.", short(&distribution.positive), said.join("; "));
    let mut frame = Frame::new(NAME, TITLE, "", description, HEIGHT);
    frame.footnote(&left_out(n_left_out, "scores"));
    let entries: Vec<Entry> = groups
        .iter()
        .enumerate()
        .map(|(i, g)| Entry { mark: Mark::Box, role: Role::Series(i), label: format!("{} ({})", g.name, count(g.n)) })
        .collect();
    frame.legend_rows(&entries);

    // Half an event below one event: a bin of one event still shows on the log axis.
    let y_scale = if log { Scale::Log { low: 0.5, high: highest * 1.5 } } else { Scale::around(0.0, highest * 1.05) };
    let y_title = if log { "events per bin (log scale)" } else { "events per bin" };
    let x_title = format!("score (probability of {})", short(&distribution.positive));
    let y_axis = Axis::counts(y_title, y_scale);
    let plot = frame.axes(&Axis::new(x_title, Scale::UNIT, 10), &y_axis);
    for (i, group) in groups.iter().enumerate() {
        draw_steps(&mut frame, &plot, Role::Series(i), &group.bins);
    }
    if let Some(threshold) = distribution.decision_threshold.filter(|t| t.is_finite()) {
        frame.marker(&plot, threshold, &format!("decision threshold {}", metric(threshold)), 0);
    }
    frame.picture
}

struct Histogram {
    name: String,
    n: u64,
    bins: [u64; N_BINS],
}

/// One histogram a class that has scores, the classes beyond the palette summed up, and how many scores were no numbers.
fn histograms(classes: &[ClassScores]) -> (Vec<Histogram>, usize) {
    let mut groups: Vec<Histogram> = Vec::new();
    let mut n_left_out = 0;
    let n_filled = classes.iter().filter(|class| class.scores.iter().any(|s| s.is_finite())).count();
    for class in classes {
        n_left_out += class.scores.iter().filter(|s| !s.is_finite()).count();
        let mut bins = [0; N_BINS];
        for score in class.scores.iter().filter(|s| s.is_finite()) {
            bins[((score * N_BINS as f64).max(0.0) as usize).min(N_BINS - 1)] += 1;
        }
        let n = bins.iter().sum();
        if n == 0 {
            continue;
        }
        if n_filled > N_SERIES && groups.len() == N_SERIES {
            let others = &mut groups[N_SERIES - 1];
            others.name = format!("{} others", n_filled - N_SERIES + 1);
            others.n += n;
            others.bins.iter_mut().zip(bins).for_each(|(sum, n)| *sum += n);
        } else {
            groups.push(Histogram { name: class.class.clone(), n, bins });
        }
    }
    (groups, n_left_out)
}

fn draw_steps(frame: &mut Frame, plot: &Plot, role: Role, bins: &[u64; N_BINS]) {
    let mut outline = vec![(plot.left, plot.bottom)];
    for (i, &n) in bins.iter().enumerate() {
        let y = if n == 0 { plot.bottom } else { plot.y(n as f64) };
        let edge = |i: usize| plot.x(i as f64 / N_BINS as f64);
        outline.extend([(edge(i), y), (edge(i + 1), y)]);
    }
    outline.push((plot.right, plot.bottom));
    outline.dedup();
    frame.picture.push(Shape::Polygon { points: outline.clone(), fill: Fill { role, opacity: 0.28 } });
    frame.picture.push(Shape::Polyline { points: outline, stroke: Stroke::solid(role, 2.0) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(class: &str, scores: &[f64]) -> ClassScores {
        ClassScores { class: class.to_owned(), scores: scores.to_vec() }
    }

    #[test]
    fn scores_fall_into_bins_of_a_fortieth() {
        let (groups, n_left_out) =
            histograms(&[scores("a", &[0.0, 0.024, 0.025, 1.0, 2.0, -1.0, f64::NAN]), scores("b", &[])]);
        assert_eq!((groups.len(), groups[0].n, n_left_out), (1, 6, 1));
        // 0, 0.024 and −1 in the first bin, 0.025 in the second, 1 and 2 in the last.
        assert_eq!((groups[0].bins[0], groups[0].bins[1], groups[0].bins[39]), (3, 1, 2));
    }

    #[test]
    fn classes_beyond_the_palette_are_summed_up() {
        let classes: Vec<ClassScores> = (0..10).map(|i| scores(&format!("c{i}"), &[0.5])).collect();
        let (groups, _) = histograms(&classes);
        assert_eq!((groups.len(), groups[6].name.as_str(), groups[6].n), (7, "4 others", 4));
    }

    #[test]
    fn a_rare_class_brings_the_log_axis() {
        let distribution = |n: usize| ScoreDistribution {
            positive: "attack".to_owned(),
            classes: vec![scores("benign", &vec![0.1; n]), scores("attack", &[0.9])],
            decision_threshold: Some(0.5),
        };
        assert!(score_distribution(&distribution(30)).to_svg().contains("(log scale)"));
        assert!(!score_distribution(&distribution(29)).to_svg().contains("(log scale)"));
    }
}
