//! Latency of scoring one event.

use super::short;
use crate::Picture;
use crate::chart::frame::{Axis, Frame, HEIGHT, not_defined};
use crate::chart::scale::Scale;
use crate::drawing::color::Role;
use crate::number::{count, micros};

/// Measured latencies of single events.
#[derive(Debug, Clone, Default)]
pub struct LatencySamples {
    /// From raw line to verdict, in microseconds, one entry an event.
    pub micros: Vec<f64>,
    /// Marked lines: name, such as `p99`, and microseconds.
    pub percentiles: Vec<(String, f64)>,
}

const N_BINS: usize = 50;
/// Picoseconds to hours; outside, a clock was misread.
const RANGE_US: std::ops::RangeInclusive<f64> = 1e-6..=1e10;

/// Histogram of the latency on a log axis, with its percentiles.
pub fn latency_histogram(samples: &LatencySamples) -> Picture {
    const NAME: &str = "latency";
    const TITLE: &str = "Latency of one event";
    let drawn: Vec<f64> = samples.micros.iter().copied().filter(|us| RANGE_US.contains(us)).collect();
    if drawn.is_empty() {
        return not_defined(NAME, TITLE, "no latency was measured");
    }
    let (low, high) = drawn.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &us| (l.min(us), h.max(us)));
    let x_scale = Scale::log_around(low, high);
    let mut bins = [0_u64; N_BINS];
    for &us in &drawn {
        bins[((x_scale.place(us) * N_BINS as f64) as usize).min(N_BINS - 1)] += 1;
    }
    let percentiles: Vec<(String, f64)> = samples
        .percentiles
        .iter()
        .filter(|(_, us)| RANGE_US.contains(us))
        .take(6)
        .map(|(name, us)| (format!("{} {}", short(name), micros(*us)), *us))
        .collect();
    let n = count(drawn.len() as u64);
    let said: Vec<&str> = percentiles.iter().map(|(label, _)| label.as_str()).collect();
    let description = format!("Latency of {n} events, from raw line to verdict: {}.", said.join(", "));
    let subtitle = format!("one event at a time, from raw line to verdict; {n} measured");
    let mut frame = Frame::new(NAME, TITLE, &subtitle, description, HEIGHT);
    let n_left_out = samples.micros.len() - drawn.len();
    if n_left_out > 0 {
        frame.footnote(&format!("{n_left_out} samples left out: not between 1 ps and 3 hours"));
    }

    let most = bins.iter().copied().max().unwrap_or(1);
    let y_axis = Axis::counts("events per bin", Scale::around(0.0, most as f64 * 1.25));
    let plot = frame.axes(&Axis::new("latency (µs, log scale)", x_scale, 6), &y_axis);
    let width = (plot.right - plot.left) / N_BINS as f32;
    for (i, &n) in bins.iter().enumerate().filter(|(_, n)| **n > 0) {
        let y = plot.y(n as f64);
        let corner = (plot.left + width * i as f32 + 0.5, y);
        frame.picture.rect(corner, (width - 1.0, plot.bottom - y), Role::Series(0));
    }
    for (row, (label, us)) in percentiles.iter().enumerate() {
        frame.marker(&plot, *us, label, row);
    }
    frame.picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_marked_in_a_fitting_unit() {
        let samples = LatencySamples {
            micros: vec![3.0, 4.0, 5.0, 2000.0, f64::NAN, -1.0],
            percentiles: vec![("p50".to_owned(), 4.5), ("p99".to_owned(), 2000.0), ("p0".to_owned(), f64::NAN)],
        };
        let picture = latency_histogram(&samples);
        assert_eq!(picture.description(), "Latency of 4 events, from raw line to verdict: p50 4.5 µs, p99 2.00 ms.");
        assert!(picture.to_svg().contains("2 samples left out"));
    }

    #[test]
    fn without_samples_there_is_no_picture() {
        for micros in [vec![], vec![0.0, f64::INFINITY]] {
            let picture = latency_histogram(&LatencySamples { micros, percentiles: vec![] });
            assert_eq!(picture.description(), "Not defined: no latency was measured.");
        }
    }
}
