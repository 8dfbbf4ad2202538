use thiserror::Error;

/// Why a picture has no PNG.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A scale of zero, below zero, not a number, or too large to draw.
    #[error("`scale` of a PNG must lie in (0, {largest}], got {scale}")]
    Scale {
        /// What was asked for.
        scale: f32,
        /// The largest scale drawn.
        largest: f32,
    },
    /// The encoder gave up.
    #[error("picture `{picture}` cannot be written as PNG")]
    Encode {
        /// Name of the picture.
        picture: &'static str,
        /// What the encoder said.
        #[source]
        source: png::EncodingError,
    },
}
