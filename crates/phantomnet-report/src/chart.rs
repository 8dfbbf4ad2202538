//! What the pictures share: scales with ticks, and the frame of title, legend and axes.

pub(crate) mod frame;
pub(crate) mod scale;
