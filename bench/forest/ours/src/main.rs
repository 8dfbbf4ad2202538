//! Trains one forest on a folder of bench/forest/datasets.py, scores its test rows and prints a line of JSON.
//!
//! The figures and their names are those of bench/forest/measure.py; log loss and ROC AUC are computed there, from the
//! probabilities that this program writes.

mod contract;
mod npy;
mod options;

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use phantomnet_learn::{FitContext, Learner};
use phantomnet_model::{Matrix, Model, Probabilities};
use serde_json::json;

use contract::Contract;
use options::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let contract = Contract::read(&options.data.join("about.json"), options.ordinal)?;
    let rows = npy::read(&options.data.join("x_train.npy"))?;
    let labels = npy::read(&options.data.join("y_train.npy"))?;
    let learner = options.learner()?;

    let before_mib = memory_mib("VmRSS")?;
    reset_peak()?;
    let cpu_before_s = cpu_s()?;
    let started = Instant::now();
    let data = contract.dataset(&rows, &labels)?;
    let all: Vec<u32> = (0..u32::try_from(data.n_rows())?).collect();
    let construct_s = started.elapsed().as_secs_f64();
    let (constructed_mib, construct_peak_mib) = (memory_mib("VmRSS")?, memory_mib("VmHWM")?);
    reset_peak()?;
    let started = Instant::now();
    let fit = learner.fit(&data, &all, &mut FitContext::new(options.threads))?;
    let fit_s = started.elapsed().as_secs_f64();
    let fit_peak_mib = memory_mib("VmHWM")?;
    let mut figures = json!({
        "construct_s": construct_s,
        "fit_s": fit_s,
        "cpu_s": cpu_s()? - cpu_before_s,
        "all_mib": fit_peak_mib.max(construct_peak_mib) - before_mib,
        "fit_mib": fit_peak_mib - constructed_mib,
    });
    drop((data, rows));

    let test = contract.matrix(&npy::read(&options.data.join("x_test.npy"))?)?;
    let scored = score(&*fit.model, &test, NonZeroUsize::MIN);
    npy::write(&options.probabilities, scored.n_classes(), scored.values())?;
    if !options.train_only {
        let mut taken = one_row(&*fit.model, &test);
        taken.sort_unstable();
        figures["row_p50_ns"] = taken[taken.len() / 2].into();
        figures["row_p99_ns"] = taken[taken.len() * 99 / 100].into();
        for threads in [1, 2].map(|n| NonZeroUsize::new(n).expect("is not zero")) {
            figures[format!("rows_s_{threads}")] = rows_per_second(&*fit.model, &test, threads, options.seconds).into();
        }
    }
    println!("{figures}");
    Ok(())
}

/// Probabilities of all rows.
fn score(model: &dyn Model, matrix: &Matrix, threads: NonZeroUsize) -> Probabilities {
    let rows: Vec<u32> = (0..matrix.n_rows() as u32).collect();
    model.predict_parallel(matrix, &rows, threads)
}

/// Nanoseconds of each row in turn, the second time round.
fn one_row(model: &dyn Model, matrix: &Matrix) -> Vec<u64> {
    let mut rows = vec![0.0; matrix.n_rows() * matrix.n_features()];
    for (i, row) in rows.chunks_exact_mut(matrix.n_features()).enumerate() {
        matrix.copy_row(i, row);
    }
    let mut taken = Vec::with_capacity(matrix.n_rows());
    let mut out = vec![0.0; model.n_classes()];
    for _ in 0..2 {
        taken.clear();
        for row in rows.chunks_exact(matrix.n_features()) {
            let started = Instant::now();
            model.predict_row(black_box(row), &mut out);
            black_box(&out);
            taken.push(started.elapsed().as_nanos() as u64);
        }
    }
    taken
}

/// From the median time of scoring the batch again and again.
fn rows_per_second(model: &dyn Model, matrix: &Matrix, threads: NonZeroUsize, seconds: f64) -> f64 {
    black_box(score(model, matrix, threads));
    let (mut taken, end) = (Vec::new(), Instant::now() + Duration::from_secs_f64(seconds));
    while taken.is_empty() || Instant::now() < end {
        let started = Instant::now();
        black_box(score(model, matrix, threads));
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    matrix.n_rows() as f64 / taken[taken.len() / 2].as_secs_f64()
}

/// A size of this process in MiB: `VmRSS` (now) or `VmHWM` (its peak).
fn memory_mib(key: &str) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or_else(|| format!("no {key}"))?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1024.0)
}

/// Processor time of all threads of this process so far, in the kernel's hundredths of a second.
fn cpu_s() -> Result<f64, Box<dyn Error>> {
    const TICKS_PER_SECOND: f64 = 100.0;

    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in brackets, the second field, may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let ticks: Result<Vec<f64>, _> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// Makes the peak of the resident set start anew at its present size.
fn reset_peak() -> std::io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}
