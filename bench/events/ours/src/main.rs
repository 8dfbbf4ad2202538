//! A file of events to a feature matrix, as bench/events/work.py says; prints a line of JSON.
//!
//!     phantomnet-events-bench FILE

#[path = "../../report.rs"]
mod report;

use std::error::Error;
use std::time::Instant;

use phantomnet_features::{
    EventSchema, Expression, FeatureSet, ReadOptions, learn_classes, learn_schema, read_columns, to_labels, to_matrix,
};
use phantomnet_model::Matrix;

const LABEL: &str = "event IN ('login', 'command', 'download', 'exploit')";

/// Nested fields of JSON lines have dotted names.
fn features(json: bool) -> [(&'static str, &'static str); 6] {
    let (src_port, dst_port) = if json { ("net.src_port", "net.dst_port") } else { ("src_port", "dst_port") };
    [
        ("payload_length", "payload_length(payload)"),
        ("src_port", src_port),
        ("dst_port", dst_port),
        ("duration", "duration"),
        ("is_login", "event = 'login'"),
        ("protocol", "protocol"),
    ]
}

fn read(path: String) -> Result<(Matrix, Vec<bool>), Box<dyn Error>> {
    let json = path.contains(".jsonl");
    // As `phantomnet train` does: of the columns, only those that label and features read.
    let columns_read = |schema: &EventSchema| {
        let schema = schema.arrow();
        let features = FeatureSet::compile(features(json), &schema).ok()?;
        let label = Expression::compile("is_attack", LABEL, &schema).ok()?;
        let all = features.expressions().iter().chain([&label]);
        Some(all.flat_map(|expression| expression.columns().to_vec()).collect())
    };
    let events = read_columns(&[path], &ReadOptions::default(), columns_read)?;
    let columns = events.batch.schema();
    let features = FeatureSet::compile(features(json), &columns)?;
    let label = Expression::compile("is_attack", LABEL, &columns)?;
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let arrays = features.evaluate_by(&events.batch, n_threads)?;
    let rows: Vec<u32> = (0..events.batch.num_rows() as u32).collect();
    let schema = learn_schema(&features, &arrays, &rows)?;
    let labels = label.evaluate(&events.batch)?;
    let classes = learn_classes(&label, &labels, None)?;
    let labels = to_labels(&labels, &classes)?;
    let labels = labels.into_iter().map(|label| label == Some(1)).collect();
    Ok((to_matrix(&arrays, &schema)?, labels))
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected a file of events")?;
    let started = Instant::now();
    let (matrix, labels) = read(path)?;
    let seconds = started.elapsed().as_secs_f64();
    let matrix: Vec<&[f32]> = (0..matrix.n_features()).map(|j| matrix.column(j)).collect();
    println!("{}", report::line(seconds, &matrix, &labels));
    Ok(())
}
