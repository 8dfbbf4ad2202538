//! What `predict` writes: each event as it came, with score and verdict.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray, new_null_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Schema};
use phantomnet_features::Layout;
use phantomnet_score::{Scorer, Scores, Verdict};
use serde_json::{Map, Value};

use crate::cli::{OutputFormat, PredictArgs};
use crate::failure::{Failure, visible};
use crate::pipeline::push_record;
use crate::temporary::PartialFile;
use crate::terminal;

const SCORE: &str = "score";
const VERDICT: &str = "verdict";
/// Columns that are told of, of those that CSV cannot hold.
const SHOWN_LATE: usize = 5;

/// One scored event.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// The batch it is in.
    pub(crate) batch: &'a RecordBatch,
    /// Its row in the batch.
    pub(crate) i: usize,
    /// Its raw record and how that is laid out, if it was text.
    pub(crate) raw: Option<(&'a str, &'a Layout)>,
    /// What the model says.
    pub(crate) verdict: Verdict,
    /// With which probabilities.
    pub(crate) probabilities: &'a [f32],
}

/// Where scored events go.
pub(crate) struct Output {
    format: OutputFormat,
    classes: Vec<String>,
    with_probabilities: bool,
    to: Box<dyn Write>,
    /// File to appear once all is written.
    file: Option<PartialFile>,
    /// CSV: the columns, fixed by the first batch.
    header: Option<Vec<String>>,
    /// CSV: columns with values that came up later, as many as are told of.
    late: BTreeSet<String>,
    /// Parquet: everything, since its schema is known only at the end.
    batches: Vec<RecordBatch>,
    /// The reader of our output went away, which is its right.
    closed: bool,
}

fn format_of(args: &PredictArgs) -> OutputFormat {
    let by_name = |path: &Path| match path.extension()?.to_str()? {
        "csv" => Some(OutputFormat::Csv),
        "parquet" => Some(OutputFormat::Parquet),
        _ => None,
    };
    args.format.or_else(|| args.output.as_deref().and_then(by_name)).unwrap_or(OutputFormat::Jsonl)
}

impl Output {
    pub(crate) fn new(args: &PredictArgs, scorer: &Scorer) -> Result<Self, Failure> {
        let mut file = None;
        let to: Box<dyn Write> = match &args.output {
            None => Box::new(BufWriter::new(std::io::stdout())),
            Some(path) => {
                let partial = PartialFile::new(path);
                let handle = File::create(partial.partial()).map_err(|e| Failure::of_writing(path, e))?;
                file = Some(partial);
                Box::new(BufWriter::new(handle))
            }
        };
        Ok(Self {
            format: format_of(args),
            classes: scorer.bundle().pipeline.label.classes.names.clone(),
            with_probabilities: args.probabilities,
            to,
            file,
            header: None,
            late: BTreeSet::new(),
            batches: Vec::new(),
            closed: false,
        })
    }

    /// Called before the rows of a batch.
    pub(crate) fn begin(&mut self, batch: &RecordBatch, layout: Option<&Layout>) -> Result<(), Failure> {
        if self.format != OutputFormat::Csv {
            return Ok(());
        }
        if let Some(header) = &self.header {
            let fields = batch.schema();
            let found = fields.fields().iter().zip(batch.columns());
            let late = found.filter(|(field, column)| {
                column.null_count() < column.len() && !header.iter().any(|name| name == field.name())
            });
            let late: Vec<String> = late.map(|(field, _)| visible(field.name())).collect();
            for name in late {
                if self.late.len() <= SHOWN_LATE {
                    self.late.insert(name);
                }
            }
            return Ok(());
        }
        let columns: Vec<String> = match layout {
            Some(layout) if !layout.header().is_empty() => layout.header().to_vec(),
            _ => batch.schema().fields().iter().map(|f| f.name().clone()).collect(),
        };
        let mut header: Vec<String> = columns.iter().map(|c| self.own(c)).collect();
        header.extend(self.added());
        self.header = Some(columns);
        let mut line = Vec::new();
        push_record(&mut line, &header);
        self.write(&line)
    }

    /// Writes one event; `json` gives it as an object, for events that were no JSON.
    pub(crate) fn row(&mut self, row: &Row<'_>, json: impl FnOnce() -> Map<String, Value>) -> Result<(), Failure> {
        let line = match self.format {
            OutputFormat::Parquet => return Ok(()),
            OutputFormat::Jsonl => self.json_line(row, json),
            OutputFormat::Csv => self.csv_line(row),
        };
        self.write(&line)
    }

    fn json_line(&self, row: &Row<'_>, json: impl FnOnce() -> Map<String, Value>) -> Vec<u8> {
        let original = match row.raw {
            Some((line, Layout::JsonLines | Layout::JsonDocument)) => {
                serde_json::from_str(line.trim_matches([',', '[', ']', ' '])).ok()
            }
            _ => None,
        };
        let event = original.unwrap_or_else(|| in_order_of(row.raw.map(|(_, layout)| layout), json()));
        // What the event says about itself under our names is kept, under another: only we give verdicts.
        let mut object: Map<String, Value> = event.into_iter().map(|(k, v)| (self.own(&k), v)).collect();
        object.insert(SCORE.into(), shortest(row.verdict.score));
        object.insert(VERDICT.into(), self.classes[row.verdict.class].clone().into());
        if self.with_probabilities {
            for (class, &p) in self.classes.iter().zip(row.probabilities) {
                object.insert(format!("prob_{class}"), shortest(p));
            }
        }
        let mut line = Value::Object(object).to_string().into_bytes();
        line.push(b'\n');
        line
    }

    fn csv_line(&self, row: &Row<'_>) -> Vec<u8> {
        let mut added = vec![row.verdict.score.to_string(), self.classes[row.verdict.class].clone()];
        if self.with_probabilities {
            added.extend(row.probabilities.iter().map(f32::to_string));
        }
        let mut out = Vec::new();
        match row.raw {
            // The record as it was, to the letter, if its columns are those of the header.
            Some((line, Layout::Delimited { delimiter: b',', header })) if Some(header) == self.header.as_ref() => {
                out.extend_from_slice(line.as_bytes());
                out.push(b',');
                push_record(&mut out, &added);
            }
            _ => {
                let schema = row.batch.schema();
                let columns = self.header.iter().flatten();
                let mut cells: Vec<String> = columns
                    .map(|name| {
                        schema.index_of(name).map_or_else(|_| String::new(), |c| cell(row.batch.column(c), row.i))
                    })
                    .collect();
                cells.extend(added);
                push_record(&mut out, &cells);
            }
        }
        out
    }

    /// Called after the rows of a batch.
    pub(crate) fn end(&mut self, batch: &RecordBatch, scores: &Scores) -> Result<(), Failure> {
        if self.format != OutputFormat::Parquet {
            return Ok(());
        }
        let n = batch.num_rows();
        let verdicts: Vec<Verdict> = (0..n).map(|i| scores.verdict(i)).collect();
        let mut added: Vec<ArrayRef> = vec![
            Arc::new(Float32Array::from_iter_values(verdicts.iter().map(|v| v.score))),
            Arc::new(StringArray::from_iter_values(verdicts.iter().map(|v| &self.classes[v.class]))),
        ];
        if self.with_probabilities {
            for c in 0..self.classes.len() {
                let column = (0..n).map(|i| scores.probabilities.row(i)[c]);
                added.push(Arc::new(Float32Array::from_iter_values(column)));
            }
        }
        let mut fields: Vec<Field> = batch
            .schema()
            .fields()
            .iter()
            .map(|f| Field::new(self.own(f.name()), f.data_type().clone(), true))
            .collect();
        fields.extend(self.added().into_iter().zip(&added).map(|(n, a)| Field::new(n, a.data_type().clone(), true)));
        let columns = batch.columns().iter().cloned().chain(added).collect();
        self.batches.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)?);
        Ok(())
    }

    /// Names of the columns that we add.
    fn added(&self) -> Vec<String> {
        let probabilities = self.classes.iter().map(|c| format!("prob_{c}"));
        let own = [SCORE.to_owned(), VERDICT.to_owned()].into_iter();
        own.chain(probabilities.filter(|_| self.with_probabilities)).collect()
    }

    /// The name that a column of the event has in the output: its own, unless it is one of ours.
    fn own(&self, name: &str) -> String {
        if self.added().iter().any(|a| a == name) { format!("event_{name}") } else { name.to_owned() }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let result = if self.closed { Ok(()) } else { self.to.write_all(bytes) };
        self.tolerate(result)
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Makes what was written visible to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let result = if self.closed { Ok(()) } else { self.to.flush() };
        self.tolerate(result)
    }

    fn tolerate(&mut self, result: std::io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|e| Failure::environment("cannot write the scored events").caused_by(e)),
        }
    }

    /// Writes what is left, and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.format == OutputFormat::Parquet {
            self.write_parquet()?;
        }
        self.flush()?;
        if !self.late.is_empty() {
            let shown: Vec<&str> = self.late.iter().take(SHOWN_LATE).map(String::as_str).collect();
            let more = if self.late.len() > SHOWN_LATE { " and others" } else { "" };
            terminal::warn(&format!(
                "`{}`{more} came up after the columns of the CSV were written and are not in it; `--format jsonl` has all",
                shown.join("`, `")
            ));
        }
        self.file.map_or(Ok(()), PartialFile::finish)
    }

    fn write_parquet(&mut self) -> Result<(), Failure> {
        let mut fields: Vec<Field> = Vec::new();
        for field in self.batches.iter().flat_map(|b| b.schema().fields().iter().cloned().collect::<Vec<_>>()) {
            match fields.iter_mut().find(|f| f.name() == field.name()) {
                None => fields.push(field.as_ref().clone()),
                // Files disagree about a column that the model does not read.
                Some(f) if f.data_type() != field.data_type() => *f = Field::new(f.name(), DataType::Utf8, true),
                Some(_) => {}
            }
        }
        // Ours last, also where later files bring new columns.
        let ours = self.added();
        fields.sort_by_key(|f| ours.iter().position(|n| n == f.name()).map_or(0, |i| i + 1));
        let schema = Arc::new(Schema::new(fields));
        let mut bytes = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, schema.clone(), None).map_err(internal)?;
        for batch in std::mem::take(&mut self.batches) {
            let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                Some(column) => arrow_cast::cast(column, field.data_type()),
            };
            let columns = schema.fields().iter().map(column).collect::<Result<_, _>>().map_err(internal)?;
            let batch = RecordBatch::try_new(schema.clone(), columns).map_err(internal)?;
            writer.write(&batch).map_err(internal)?;
        }
        writer.close().map_err(internal)?;
        self.write(&bytes)
    }
}

/// A delimited event with its columns as the file has them, not as the model reads them.
fn in_order_of(layout: Option<&Layout>, mut event: Map<String, Value>) -> Map<String, Value> {
    let header = layout.map_or(&[][..], Layout::header);
    let mut ordered: Map<String, Value> =
        header.iter().filter_map(|name| Some((name.clone(), event.shift_remove(name)?))).collect();
    ordered.extend(event);
    ordered
}

/// A probability by the fewest digits that tell it from its neighbours in f32.
fn shortest(p: f32) -> Value {
    p.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::environment("cannot write the scored events").caused_by(error)
}

fn cell(column: &ArrayRef, i: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(column, &options).map_or_else(|_| String::new(), |f| f.value(i).to_string())
}
