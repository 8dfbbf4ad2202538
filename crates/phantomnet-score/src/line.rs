//! One raw line in, one verdict out: the path of a sensor beside its log.

use phantomnet_features::{Layout, LineDecoder};

use crate::scorer::verdict;
use crate::{ScoreError, Scorer, Verdict};

/// Scores raw lines one at a time with buffers that are used again. Starts no thread.
#[derive(Debug)]
pub struct LineScorer<'a> {
    scorer: &'a Scorer,
    decoder: LineDecoder,
    row: Vec<f32>,
    probabilities: Vec<f32>,
}

impl<'a> LineScorer<'a> {
    pub(crate) fn new(scorer: &'a Scorer, layout: &Layout) -> Self {
        let row = vec![0.0; scorer.schema.len()];
        let probabilities = vec![0.0; scorer.bundle().pipeline.label.classes.len()];
        let decoder = LineDecoder::new(&scorer.event_schema(), layout);
        Self { scorer, decoder, row, probabilities }
    }

    /// The verdict on one raw line, without its line end.
    ///
    /// # Errors
    /// [`ScoreError::Line`] for a line that is no event, [`ScoreError::Expression`] when an expression fails on it.
    pub fn score(&mut self, line: &[u8]) -> Result<Verdict, ScoreError> {
        let batch = self.decoder.decode(line).map_err(|e| ScoreError::Line { reason: e.to_string() })?;
        let matrix = self.scorer.matrix(&batch)?;
        matrix.copy_row(0, &mut self.row);
        let bundle = self.scorer.bundle();
        bundle.model.predict_row(&self.row, &mut self.probabilities);
        let pipeline = &bundle.pipeline;
        Ok(verdict(&self.probabilities, pipeline.label.classes.positive, pipeline.decision_threshold))
    }

    /// Class probabilities of the last line that was scored.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }
}
