//! From values to places on an axis, and the ticks that name them.

use crate::number::group;

/// Values past this are not drawn: beyond it neighbouring ticks are the same `f64`.
const LARGEST: f64 = 1e15;

/// Whether a value can stand on an axis.
pub(crate) fn is_drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

/// An axis from its lowest to its highest value, with low < high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear {
        low: f64,
        high: f64,
    },
    /// Both ends above zero.
    Log {
        low: f64,
        high: f64,
    },
}

/// A labelled place on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

impl Scale {
    /// 0 to 1.
    pub(crate) const UNIT: Self = Self::Linear { low: 0.0, high: 1.0 };

    /// The smallest linear scale between round values that holds both; equal values get some room.
    pub(crate) fn around(low: f64, high: f64) -> Self {
        // A span that rounding would swallow counts as none.
        let apart = high - low > 1e-9 * low.abs().max(high.abs()).max(1e-6);
        let room = if apart { 0.0 } else { (low.abs() * 0.1).max(0.5) };
        let (low, high) = (low - room, high + room);
        let step = round_step(low, high, 5);
        Self::Linear { low: (low / step).floor() * step, high: (high / step).ceil() * step }
    }

    /// The smallest logarithmic scale between powers of ten times 1, 2 or 5 that holds both, which must exceed zero.
    pub(crate) fn log_around(low: f64, high: f64) -> Self {
        let low = round_logs(low.log10().floor() as i32, 1).rfind(|&v| v <= low * (1.0 + 1e-9)).unwrap_or(low);
        let round_high = round_logs(high.log10().floor() as i32, 2).find(|&v| v >= high * (1.0 - 1e-9));
        let high = round_high.unwrap_or(high);
        Self::Log { low, high: if high > low { high } else { low * 2.0 } }
    }

    /// Place of a value as a share of the axis, held to 0..=1.
    pub(crate) fn place(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value.max(f64::MIN_POSITIVE) / low).ln() / (high / low).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// Some `n_wanted` round values along the axis, at least two.
    pub(crate) fn ticks(self, n_wanted: usize) -> Vec<Tick> {
        match self {
            Self::Linear { low, high } => linear_ticks(low, high, n_wanted),
            Self::Log { low, high } => log_ticks(low, high, n_wanted),
        }
    }
}

/// 1, 2 or 5 times a power of ten, such that some `n_wanted` steps lead from `low` to `high`.
fn round_step(low: f64, high: f64, n_wanted: usize) -> f64 {
    let rough = (high - low) / n_wanted.max(1) as f64;
    let power = 10_f64.powi(rough.log10().floor() as i32);
    let digit = match rough / power {
        d if d < 1.5 => 1.0,
        d if d < 3.5 => 2.0,
        d if d < 7.5 => 5.0,
        _ => 10.0,
    };
    digit * power
}

fn linear_ticks(low: f64, high: f64, n_wanted: usize) -> Vec<Tick> {
    let step = round_step(low, high, n_wanted);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let first = (low / step - 1e-9).ceil();
    (0..=4 * n_wanted)
        .map(|i| (first + i as f64) * step)
        .take_while(|&value| value <= high + step * 1e-9)
        .map(|value| Tick { value, label: linear_label(value, step, decimals) })
        .collect()
}

fn linear_label(value: f64, step: f64, decimals: usize) -> String {
    // A multiple of the step that should be zero may be off by a rounding error.
    let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
    if decimals > 6 || value.abs() >= 1e9 { format!("{value:.1e}") } else { group(&format!("{value:.decimals$}")) }
}

fn log_ticks(low: f64, high: f64, n_wanted: usize) -> Vec<Tick> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let n_decades = (last - first).max(1) as usize;
    let within = |v: &f64| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9);
    let tick = |value: f64| Tick { value, label: log_label(value) };
    let fine: Vec<Tick> = round_logs(first, n_decades).filter(within).map(tick).collect();
    if fine.len() <= 2 * n_wanted {
        return fine;
    }
    let every = n_decades.div_ceil(2 * n_wanted.max(1));
    (first..=last).step_by(every).map(|e| 10_f64.powi(e)).filter(within).map(tick).collect()
}

fn log_label(value: f64) -> String {
    if (1e-3..1e6).contains(&value) {
        let decimals = (-value.log10().floor()).max(0.0) as usize;
        group(&format!("{value:.decimals$}"))
    } else {
        format!("{value:.0e}")
    }
}

/// 1, 2 and 5 times each power of ten from `first`, over `n_decades`, and the power that ends them.
fn round_logs(first: i32, n_decades: usize) -> impl DoubleEndedIterator<Item = f64> {
    (0..=3 * n_decades as i32).map(move |i| [1.0, 2.0, 5.0][(i % 3) as usize] * 10_f64.powi(first + i / 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn labels(scale: Scale, n_wanted: usize) -> String {
        scale.ticks(n_wanted).into_iter().map(|tick| tick.label).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case(Scale::UNIT, "0.0 0.2 0.4 0.6 0.8 1.0")]
    #[case(Scale::Linear { low: 0.7, high: 1.0 }, "0.70 0.75 0.80 0.85 0.90 0.95 1.00")]
    #[case(Scale::Linear { low: 0.0, high: 12_000.0 }, "0 2,000 4,000 6,000 8,000 10,000 12,000")]
    #[case(Scale::Linear { low: -0.3, high: 0.3 }, "-0.3 -0.2 -0.1 0.0 0.1 0.2 0.3")]
    #[case(Scale::Linear { low: 0.0, high: 3.0 }, "0.0 0.5 1.0 1.5 2.0 2.5 3.0")]
    #[case(Scale::Log { low: 1.0, high: 100.0 }, "1 2 5 10 20 50 100")]
    #[case(Scale::Log { low: 2.0, high: 5.0 }, "2 5")]
    #[case(Scale::Log { low: 0.1, high: 1e5 }, "0.1 1 10 100 1,000 10,000 100,000")]
    fn ticks_are_round(#[case] scale: Scale, #[case] want: &str) {
        assert_eq!(labels(scale, 5), want);
    }

    #[rstest]
    #[case(0.72, 0.93, 0.7, 0.95)]
    #[case(0.0, 37.0, 0.0, 40.0)]
    #[case(1.0, 1.0, 0.4, 1.6)]
    #[case(0.0, 0.0, -0.6, 0.6)]
    fn a_scale_goes_around_its_values(
        #[case] low: f64,
        #[case] high: f64,
        #[case] want_low: f64,
        #[case] want_high: f64,
    ) {
        let Scale::Linear { low, high } = Scale::around(low, high) else { panic!("not linear") };
        assert!((low - want_low).abs() < 1e-9 && (high - want_high).abs() < 1e-9, "{low} {high}");
    }

    #[rstest]
    #[case(1.3, 480.0, 1.0, 500.0)]
    #[case(10.0, 100.0, 10.0, 100.0)]
    #[case(3.0, 3.0, 2.0, 5.0)]
    #[case(5.0, 5.0, 5.0, 10.0)]
    #[case(0.03, 0.9, 0.02, 1.0)]
    fn a_log_scale_ends_at_round_values(
        #[case] low: f64,
        #[case] high: f64,
        #[case] want_low: f64,
        #[case] want_high: f64,
    ) {
        let Scale::Log { low, high } = Scale::log_around(low, high) else { panic!("not logarithmic") };
        assert!((low / want_low - 1.0).abs() < 1e-9 && (high / want_high - 1.0).abs() < 1e-9, "{low} {high}");
    }

    #[rstest]
    #[case(Scale::Linear { low: 10.0, high: 20.0 }, 15.0, 0.5)]
    #[case(Scale::Linear { low: 10.0, high: 20.0 }, 99.0, 1.0)]
    #[case(Scale::Log { low: 1.0, high: 100.0 }, 10.0, 0.5)]
    #[case(Scale::Log { low: 1.0, high: 100.0 }, 0.0, 0.0)]
    fn values_have_their_place(#[case] scale: Scale, #[case] value: f64, #[case] want: f64) {
        assert!((scale.place(value) - want).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn any_drawable_range_has_rising_ticks_within_it(a in -1e15..1e15_f64, span in 0.0..1e15_f64, n in 5..12_usize) {
            let scale = Scale::around(a, (a + span).min(1e15));
            let Scale::Linear { low, high } = scale else { unreachable!() };
            let ticks = scale.ticks(n);
            prop_assert!(low < high && low <= a && a <= high);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= 4 * n + 1, "{} ticks", ticks.len());
            prop_assert!(ticks.windows(2).all(|pair| pair[0].value < pair[1].value));
            let slack = (high - low) * 1e-6;
            prop_assert!(ticks.iter().all(|t| t.value >= low - slack && t.value <= high + slack));
        }

        #[test]
        fn any_positive_range_has_rising_log_ticks(low_exp in -12.0..12.0_f64, span in 0.0..12.0_f64, n in 5..12_usize) {
            let (a, b) = (10_f64.powf(low_exp), 10_f64.powf(low_exp + span));
            let scale = Scale::log_around(a, b);
            let Scale::Log { low, high } = scale else { unreachable!() };
            prop_assert!(low < high && low <= a * (1.0 + 1e-6) && high >= b * (1.0 - 1e-6));
            let ticks = scale.ticks(n);
            prop_assert!(!ticks.is_empty() && ticks.windows(2).all(|pair| pair[0].value < pair[1].value));
        }
    }
}
