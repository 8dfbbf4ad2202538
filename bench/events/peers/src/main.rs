//! A file of events to a feature matrix by DataFusion's own readers; prints a line of JSON.
//!
//!     phantomnet-events-peer FILE [--newlines-in-values] [--partitions N]
//!
//! The query is that of bench/events/work.py. Batches are turned into f32 columns as they come, each partition by a task
//! of its own, so that no table of events is ever held.

mod matrix;
#[path = "../../report.rs"]
mod report;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;

use crate::matrix::Columns;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Options {
    file: String,
    newlines_in_values: bool,
    partitions: usize,
}

fn options() -> Result<Options> {
    let mut options = Options { file: String::new(), newlines_in_values: false, partitions: 2 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--newlines-in-values" => options.newlines_in_values = true,
            "--partitions" => options.partitions = words.next().ok_or("--partitions needs a number")?.parse()?,
            _ => options.file = word,
        }
    }
    Ok(options)
}

/// The columns of the file, which spares the inference: that of CSV takes a backslash before a quote for an escape, as
/// RFC 4180 does not, and fails on payloads that hold one. Of JSON only what is needed, the rest is passed over.
fn schema(nested: bool) -> Schema {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let text = |name| field(name, DataType::Utf8View);
    let port = |name| field(name, DataType::Int64);
    let duration = field("duration", DataType::Float64);
    if nested {
        let net = field("net", DataType::Struct(vec![port("src_port"), port("dst_port")].into()));
        return Schema::new(vec![text("protocol"), text("event"), duration, text("payload"), net]);
    }
    Schema::new(vec![
        text("timestamp"),
        text("src_ip"),
        port("src_port"),
        port("dst_port"),
        text("protocol"),
        text("event"),
        text("session"),
        duration,
        text("payload"),
    ])
}

fn query(nested: bool) -> String {
    let port = |name: &str| if nested { format!("get_field(net, '{name}')") } else { name.to_owned() };
    let (src_port, dst_port) = (port("src_port"), port("dst_port"));
    format!(
        "SELECT CAST(character_length(payload) AS REAL), CAST({src_port} AS REAL), CAST({dst_port} AS REAL), \
         CAST(duration AS REAL), CAST(event = 'login' AS REAL), protocol, \
         event IN ('login', 'command', 'download', 'exploit') FROM events"
    )
}

async fn read(options: &Options) -> Result<Columns> {
    let config = SessionConfig::new().with_target_partitions(options.partitions);
    let context = SessionContext::new_with_config(config);
    let gz = options.file.ends_with(".gz");
    let compression = if gz { FileCompressionType::GZIP } else { FileCompressionType::UNCOMPRESSED };
    let name = options.file.trim_end_matches(".gz");
    // Registered under the whole extension, which is how a compressed file is found.
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).ok_or("the file has no extension")?;
    let extension = if gz { format!(".{extension}.gz") } else { format!(".{extension}") };
    let nested = !extension.starts_with(".csv");
    let schema = schema(nested);
    if nested {
        let read =
            JsonReadOptions::default().schema(&schema).file_extension(&extension).file_compression_type(compression);
        context.register_json("events", &options.file, read).await?;
    } else {
        let read = CsvReadOptions::new()
            .schema(&schema)
            .file_extension(&extension)
            .file_compression_type(compression)
            .newlines_in_values(options.newlines_in_values);
        context.register_csv("events", &options.file, read).await?;
    }
    let plan = context.sql(&query(nested)).await?.create_physical_plan().await?;
    let tasks: Vec<_> = (0..plan.output_partitioning().partition_count())
        .map(|partition| {
            let stream = plan.execute(partition, context.task_ctx());
            tokio::spawn(async move {
                let (mut columns, mut stream) = (Columns::default(), stream?);
                while let Some(batch) = stream.next().await {
                    columns.push(&batch?)?;
                }
                Result::Ok(columns)
            })
        })
        .collect();
    let mut parts = Vec::new();
    for task in tasks {
        parts.push(task.await??);
    }
    Ok(Columns::joined(parts))
}

fn main() -> Result<()> {
    let options = options()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.partitions).enable_all().build()?;
    let started = Instant::now();
    let columns = runtime.block_on(read(&options))?;
    let seconds = started.elapsed().as_secs_f64();
    let matrix: Vec<&[f32]> = columns.matrix.iter().map(Vec::as_slice).collect();
    println!("{}", report::line(seconds, &matrix, &columns.labels));
    Ok(())
}
