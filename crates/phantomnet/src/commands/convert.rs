//! `phantomnet convert`

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use phantomnet_features::{Converted, SourceError, convert_events};
use serde_json::{Value, json};

use super::bar::reading;
use crate::cli::ConvertArgs;
use crate::failure::{Failure, visible};
use crate::pipeline::data::{header_looks_like_data, read_options, source_failure};
use crate::pipeline::rejected_jsonl;
use crate::temporary::PartialFile;
use crate::terminal;

/// The largest block of memory that glibc gives back to the system and learns from.
const LEARNED_BYTES: usize = (32 << 20) - (64 << 10);

pub(crate) fn run(args: &ConvertArgs) -> Result<ExitCode, Failure> {
    let (config, out) = args.resolve()?;
    if !out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
        let text = format!("the last path is the file to write, and must end in `.parquet`, got `{}`", out.display());
        return Err(Failure::config(text).hint("phantomnet convert DATA... OUT.parquet"));
    }
    let config = config.with_standard_input()?;
    let paths: Vec<String> = config.data.paths.iter().map(|path| config.as_given(path)).collect();
    let start = Instant::now();
    // Columns come and go by megabytes. glibc gives such memory back each time, and the system clears it anew, until it has seen a block
    // of that size go: then it keeps up to twice as much. That is a tenth of the time here.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LEARNED_BYTES)));
    let file = PartialFile::new(&out);
    let options = read_options(&config)?;
    let converted =
        reading(|tell| convert_events(&paths, &options, file.partial(), tell)).map_err(|error| match error {
            SourceError::Write { source, .. } => SourceError::Write { path: out.clone(), source },
            other => other,
        });
    let mut converted = converted.map_err(source_failure)?;
    converted.warnings.extend(header_looks_like_data(&converted.schema));
    file.finish()?;
    let rejected = out.with_extension("rejected.jsonl");
    if converted.rejected.n > 0 {
        let lines = rejected_jsonl(&converted.files, &converted.rejected);
        std::fs::write(&rejected, lines).map_err(|source| Failure::of_writing(&rejected, source))?;
    } else {
        // That of the file which was replaced, if there is one.
        let _ = std::fs::remove_file(&rejected);
    }
    let n_bytes: u64 = converted.files.iter().map(|file| file.n_bytes).sum();
    if args.common.json {
        terminal::print_json(&document(&converted, &out, &rejected, n_bytes))?;
    } else {
        converted.warnings.iter().for_each(|warning| terminal::warn(warning));
        for (column, n) in &converted.unparsed {
            terminal::warn(&format!(
                "column `{}`: {n} cells are not of its type and count as missing",
                visible(column)
            ));
        }
        let rate = n_bytes as f64 / 1e6 / start.elapsed().as_secs_f64().max(1e-9);
        terminal::say(&format!(
            "{}: {} events of {} columns, {:.0} MB/s",
            out.display(),
            converted.n_rows,
            converted.schema.columns().len(),
            rate
        ));
        if converted.rejected.n > 0 {
            terminal::say(&format!("{} records are rejected: {}", converted.rejected.n, rejected.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn document(converted: &Converted, out: &Path, rejected: &Path, n_bytes: u64) -> Value {
    let columns: Vec<Value> =
        converted.schema.columns().iter().map(|(name, t)| json!({"name": name, "type": t.name()})).collect();
    let unparsed: serde_json::Map<String, Value> =
        converted.unparsed.iter().map(|(name, n)| (name.clone(), json!(n))).collect();
    json!({
        "output": out,
        "n_rows": converted.n_rows,
        "n_bytes_read": n_bytes,
        "n_rejected": converted.rejected.n,
        "n_rejected_by_reason": converted.rejected.by_reason,
        "rejected": (converted.rejected.n > 0).then_some(rejected),
        "columns": columns,
        "unparsed": unparsed,
        "warnings": converted.warnings,
    })
}
