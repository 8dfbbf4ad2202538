//! `phantomnet predict`

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use arrow_array::{Array, RecordBatch};
use phantomnet_features::{
    DatabaseSource, EventStream, Events, Format, Layout, Place, RejectedLine, expand_paths, plain_text, read_events_as,
    row_as_json,
};
use phantomnet_score::{Scorer, Scores};

use super::predict_output::{Output, Row};
use crate::cli::PredictArgs;
use crate::config::Config;
use crate::failure::{Failure, visible};
use crate::pipeline::data::{read_options, source_failure};
use crate::pipeline::latency::{columns_of, score_failure};
use crate::terminal;

/// Events scored at a time.
const BATCH_ROWS: usize = 8_192;
/// Rejected lines that are shown.
const SHOWN_REJECTED: u64 = 5;
/// Events of which one at least should have a value in each column: a few may lack one by chance.
const ENOUGH_ROWS: u64 = 100;

pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode, Failure> {
    let (config, source) = args.model.open(&args.config)?;
    let scorer = Scorer::load(source.path()).map_err(score_failure)?;
    let output = Output::new(args, &scorer)?;
    let mut prediction =
        Prediction { scorer: &scorer, output, n_rows: 0, n_rejected: 0, n_unparsed: 0, columns: Vec::new() };
    let mut options = read_options(&config)?;
    options.keep_extra = true;
    let schema = scorer.event_schema();
    prediction.columns =
        schema.names().map(|name| Column { name: name.to_owned(), is_empty: true, is_told: false }).collect();
    let data = if args.data.is_empty() { vec!["-".to_owned()] } else { args.data.clone() };
    let (urls, paths): (Vec<String>, Vec<String>) =
        data.into_iter().partition(|data| DatabaseSource::parse(data).is_some());
    let (pipes, files): (Vec<String>, Vec<String>) = paths.into_iter().partition(|path| is_pipe(path));
    for url in urls {
        let events = read_events_as(std::slice::from_ref(&url), &options, &schema).map_err(source_failure)?;
        prediction.events(&events, &events.origin.files[0].path.display().to_string())?;
    }
    let (files, warnings) =
        if files.is_empty() { Default::default() } else { expand_paths(&files).map_err(source_failure)? };
    warnings.iter().for_each(|warning| terminal::warn(warning));
    for path in files {
        let name = path.display().to_string();
        if options.format == Some(Format::Parquet) || is_parquet(&path) {
            // Parquet is no stream of lines; its rejected share is judged over all input, below.
            options.max_rejected = 1.0;
            let events = read_events_as(std::slice::from_ref(&name), &options, &schema).map_err(source_failure)?;
            prediction.events(&events, &name)?;
        } else {
            let stream = EventStream::open(&path, &options, &schema).map_err(source_failure)?;
            prediction.stream(stream, &name)?;
        }
    }
    for pipe in pipes {
        let reader: Box<dyn Read + Send> = match pipe.as_str() {
            "-" => Box::new(std::io::stdin()),
            path => Box::new(File::open(path).map_err(|e| Failure::data(format!("cannot read `{path}`: {e}")))?),
        };
        let text = plain_text(BufReader::with_capacity(1 << 16, reader), &options).map_err(source_failure)?;
        prediction.stream(EventStream::new(text, &options, &schema).map_err(source_failure)?, &pipe)?;
    }
    prediction.finish(&config)
}

/// What is said of events that the model has nothing to say about.
pub(super) fn no_column(name: &str) -> Failure {
    Failure::data(format!("`{name}` has none of the columns that the model reads"))
        .hint("for files without a header, name the columns: --set 'data.columns=[\"a\", \"b\"]'")
}

/// Whether a path is standard input, or something else that is read once from its beginning: a named pipe, or what a shell gives for
/// `<(...)`.
fn is_pipe(path: &str) -> bool {
    path == "-" || Path::new(path).metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
}

struct Prediction<'a> {
    scorer: &'a Scorer,
    output: Output,
    n_rows: u64,
    n_rejected: u64,
    n_unparsed: u64,
    /// Those that the model reads.
    columns: Vec<Column>,
}

struct Column {
    name: String,
    /// Whether no event had a value in it.
    is_empty: bool,
    /// Whether somebody was told that it is not there.
    is_told: bool,
}

impl Prediction<'_> {
    /// Whether the events have anything that the model reads; told of delimited files by their header.
    fn check_columns(&mut self, layout: &Layout, name: &str) -> Result<(), Failure> {
        let header = layout.header();
        if header.is_empty() {
            return Ok(());
        }
        let wanted = self.scorer.event_schema();
        let absent: Vec<&str> = wanted.names().filter(|column| !header.iter().any(|h| h == column)).collect();
        if absent.len() == wanted.columns().len() {
            return Err(no_column(name));
        }
        self.columns.iter_mut().for_each(|column| column.is_told |= absent.contains(&column.name.as_str()));
        if !absent.is_empty() {
            let (columns, are, count) =
                if absent.len() == 1 { ("column", "is", "counts") } else { ("columns", "are", "count") };
            let absent = absent.join("`, `");
            terminal::warn(&format!("{name}: {columns} `{absent}` {are} not there and {count} as missing"));
        }
        Ok(())
    }

    /// Scores a stream as it arrives; what has arrived is written before more is waited for.
    fn stream<R: BufRead>(&mut self, mut stream: EventStream<R>, name: &str) -> Result<(), Failure> {
        stream.warnings().iter().for_each(|w| terminal::warn(w));
        let layout = stream.layout().clone();
        self.check_columns(&layout, name)?;
        while !self.output.is_closed()
            && let Some(part) = stream.next_batch(BATCH_ROWS).map_err(source_failure)?
        {
            part.rejected.iter().for_each(|r| self.reject(r, name));
            self.n_unparsed += part.n_unparsed;
            self.score(&part.batch, Some((&part.lines, &layout)), &part.places, name)?;
            self.output.flush()?;
        }
        stream.remarks().iter().for_each(|remark| terminal::warn(&format!("{name}: {remark}")));
        Ok(())
    }

    fn events(&mut self, events: &Events, name: &str) -> Result<(), Failure> {
        events.origin.rejected.kept.iter().for_each(|r| self.reject(r, name));
        events.origin.warnings.iter().for_each(|w| terminal::warn(w));
        if events.origin.absent.len() == self.scorer.event_schema().columns().len() {
            return Err(no_column(name));
        }
        for start in (0..events.batch.num_rows()).step_by(BATCH_ROWS) {
            let n = BATCH_ROWS.min(events.batch.num_rows() - start);
            let places: Vec<Place> = (start..start + n).map(|row| events.origin.places.get(row)).collect();
            self.score(&events.batch.slice(start, n), None, &places, name)?;
        }
        Ok(())
    }

    /// Scores a batch. If an expression fails on it, event by event, so that one bad event does not take others with it.
    fn score(
        &mut self,
        batch: &RecordBatch,
        raw: Option<(&[String], &Layout)>,
        places: &[Place],
        name: &str,
    ) -> Result<(), Failure> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match self.scorer.score(&columns_of(batch, self.scorer)?) {
            Ok(scores) => self.write(batch, &scores, raw),
            Err(error) if batch.num_rows() == 1 => {
                let excerpt = raw.map_or_else(String::new, |(lines, _)| lines[0].chars().take(80).collect());
                self.reject(&RejectedLine { place: places[0], reason: error.to_string(), excerpt }, name);
                Ok(())
            }
            Err(_) => (0..batch.num_rows()).try_for_each(|i| {
                let raw = raw.map(|(lines, layout)| (&lines[i..=i], layout));
                self.score(&batch.slice(i, 1), raw, &places[i..=i], name)
            }),
        }
    }

    fn write(
        &mut self,
        batch: &RecordBatch,
        scores: &Scores,
        raw: Option<(&[String], &Layout)>,
    ) -> Result<(), Failure> {
        self.n_rows += batch.num_rows() as u64;
        for (column, values) in self.columns.iter_mut().zip(batch.columns()) {
            column.is_empty &= values.null_count() == values.len();
        }
        self.output.begin(batch, raw.map(|(_, layout)| layout))?;
        for i in 0..batch.num_rows() {
            let verdict = scores.verdict(i);
            let probabilities = scores.probabilities.row(i);
            let row =
                Row { batch, i, raw: raw.map(|(lines, layout)| (lines[i].as_str(), layout)), verdict, probabilities };
            self.output.row(&row, || row_as_json(batch, i))?;
        }
        self.output.end(batch, scores)
    }

    fn reject(&mut self, rejected: &RejectedLine, name: &str) {
        self.n_rejected += 1;
        if self.n_rejected <= SHOWN_REJECTED {
            let excerpt = visible(&rejected.excerpt);
            terminal::warn(&format!("{name}:{}: {}: {excerpt}", rejected.place.line, rejected.reason));
        }
    }

    fn finish(self, config: &Config) -> Result<ExitCode, Failure> {
        self.output.finish()?;
        if self.n_rejected > SHOWN_REJECTED {
            terminal::warn(&format!("... and {} more", self.n_rejected - SHOWN_REJECTED));
        }
        if self.n_unparsed > 0 {
            terminal::warn(&format!(
                "{} cells do not have the type they had in training and count as missing",
                self.n_unparsed
            ));
        }
        let untold = self.columns.iter().filter(|column| column.is_empty && !column.is_told);
        let untold: Vec<String> = untold.map(|column| visible(&column.name)).collect();
        if self.n_rows > 0 && self.columns.iter().all(|column| column.is_empty) {
            terminal::warn("no event had a value in any column that the model reads");
        } else if self.n_rows >= ENOUGH_ROWS && !untold.is_empty() {
            terminal::warn(&format!("no event had a value in `{}`, which the model reads", untold.join("`, `")));
        }
        let n_lines = self.n_rows + self.n_rejected;
        terminal::say(&format!("{} events scored, {} lines rejected", self.n_rows, self.n_rejected));
        if self.n_rejected as f64 > config.data.max_rejected * n_lines as f64 {
            let limit = config.data.max_rejected;
            return Err(Failure::data(format!(
                "{} of {n_lines} lines were rejected, more than {limit} of them",
                self.n_rejected
            ))
            .hint("the others were scored; raise `data.max_rejected` if this is expected"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
