//! A file of events to a feature matrix, as bench/events/work.py says; prints a line of JSON.
//!
//!     phantomnet-events-bench FILE

#[path = "../../report.rs"]
mod report;

use std::error::Error;
use std::time::Instant;

use phantomnet_features::{
    Evaluated, EventReader, Expression, FeatureSet, Program, ReadOptions, into_labels, into_matrix, learn_classes,
    learn_schema,
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
    let (paths, options) = ([path], ReadOptions::default());
    let reader = EventReader::open(&paths, &options)?;
    let schema = reader.schema().arrow();
    let features = FeatureSet::compile(features(json), &schema)?;
    let label = Expression::compile("is_attack", LABEL, &schema)?;
    let Evaluated { program, labels, features, .. } =
        reader.evaluate(&Program { label, weight: None, features }, &mut |_| ())?;
    let classes = learn_classes(&program.label, &labels, None)?;
    let labels = into_labels(labels, &classes)?;
    let rows: Vec<u32> = (0..labels.len() as u32).collect();
    let schema = learn_schema(&program.features, &features, &rows)?;
    let labels = labels.into_iter().map(|label| label == 1).collect();
    Ok((into_matrix(features, &schema)?, labels))
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
