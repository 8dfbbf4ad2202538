//! Numbers as people read them.

/// A metric: three decimals in the usual range, `not defined` for NaN.
pub(crate) fn metric(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "not defined".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "∞" } else { "−∞" }.to_owned()
    } else if size >= 1e6 || (size > 0.0 && size < 5e-4) {
        format!("{value:.2e}")
    } else if size >= 1000.0 {
        group(&format!("{value:.1}"))
    } else if size >= 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// Both ends of an interval, as [`metric`].
pub(crate) fn interval((low, high): (f64, f64)) -> String {
    format!("{} to {}", metric(low), metric(high))
}

/// A count with its thousands set apart.
pub(crate) fn count(n: u64) -> String {
    group(&n.to_string())
}

/// A count in at most four characters, for the cells of a large matrix.
pub(crate) fn short_count(n: u64) -> String {
    const STEPS: [(f64, &str); 6] = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    if n < 1000 {
        return n.to_string();
    }
    for (step, suffix) in STEPS {
        let scaled = n as f64 / step;
        if scaled >= 10.0 {
            return format!("{}{suffix}", scaled.floor());
        }
        if scaled >= 1.0 {
            return format!("{:.1}{suffix}", (scaled * 10.0).floor() / 10.0);
        }
    }
    n.to_string()
}

/// A share of one as a percentage; `not defined` for NaN.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { metric(share) }
}

/// A duration given in microseconds, in the unit that suits it.
pub(crate) fn micros(us: f64) -> String {
    if !us.is_finite() {
        metric(us)
    } else if us >= 1e6 {
        format!("{:.2} s", us / 1e6)
    } else if us >= 1e3 {
        format!("{:.2} ms", us / 1e3)
    } else if us >= 100.0 {
        format!("{us:.0} µs")
    } else if us >= 0.1 || us == 0.0 {
        format!("{us:.1} µs")
    } else {
        format!("{:.1} ns", us * 1e3)
    }
}

/// Sets the thousands of a plain decimal number apart with commas.
pub(crate) fn group(plain: &str) -> String {
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let digits = whole.trim_start_matches('-').len();
    let mut out = String::with_capacity(plain.len() + digits / 3);
    let mut left = digits;
    for c in whole.chars() {
        out.push(c);
        if c != '-' {
            left -= 1;
            if left > 0 && left % 3 == 0 {
                out.push(',');
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0, "0.000")]
    #[case(0.88636, "0.886")]
    #[case(-0.25, "-0.250")]
    #[case(0.0001, "1.00e-4")]
    #[case(12.345, "12.35")]
    #[case(1234.56, "1,234.6")]
    #[case(2.5e9, "2.50e9")]
    #[case(f64::NAN, "not defined")]
    #[case(f64::NEG_INFINITY, "−∞")]
    fn metrics(#[case] value: f64, #[case] want: &str) {
        assert_eq!(metric(value), want);
    }

    #[rstest]
    #[case(0, "0", "0")]
    #[case(999, "999", "999")]
    #[case(1000, "1,000", "1.0k")]
    #[case(12_999, "12,999", "12k")]
    #[case(9_999_999, "9,999,999", "9.9M")]
    #[case(u64::MAX, "18,446,744,073,709,551,615", "18E")]
    fn counts(#[case] n: u64, #[case] long: &str, #[case] short: &str) {
        assert_eq!((count(n).as_str(), short_count(n).as_str()), (long, short));
    }

    #[rstest]
    #[case(0.0123, "12.3 ns")]
    #[case(3.21, "3.2 µs")]
    #[case(512.4, "512 µs")]
    #[case(1250.0, "1.25 ms")]
    #[case(2.5e6, "2.50 s")]
    #[case(f64::NAN, "not defined")]
    fn durations(#[case] us: f64, #[case] want: &str) {
        assert_eq!(micros(us), want);
    }
}
