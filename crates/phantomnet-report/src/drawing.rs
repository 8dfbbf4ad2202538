//! A picture is a list of shapes in user units (CSS pixels) whose colours are roles, not values.
//!
//! Steps: a picture function lays shapes out, measuring text with the embedded font; [`Picture::to_svg`] writes them as
//! text, [`Picture::to_png`] draws them. Limits: no clipping, no gradients, no curves but circles.

pub(crate) mod color;
pub(crate) mod font;
mod png;
mod svg;

use color::Role;

/// A finished picture of a run, with a light background.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    name: &'static str,
    title: String,
    description: String,
    width: f32,
    height: f32,
    shapes: Vec<Shape>,
}

/// A point, x to the right and y down.
pub(crate) type Point = (f32, f32);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Rect { corner: Point, size: Point, fill: Fill },
    Line { from: Point, to: Point, stroke: Stroke },
    Polyline { points: Vec<Point>, stroke: Stroke },
    Polygon { points: Vec<Point>, fill: Fill },
    Circle { center: Point, radius: f32, fill: Fill },
    Text(Text),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fill {
    pub(crate) role: Role,
    pub(crate) opacity: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) role: Role,
    pub(crate) width: f32,
    pub(crate) dashed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// One line of text; `at` is its anchor on the baseline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text {
    pub(crate) at: Point,
    pub(crate) text: String,
    pub(crate) size: f32,
    pub(crate) weight: Weight,
    pub(crate) anchor: Anchor,
    pub(crate) role: Role,
    /// Reads upwards instead of to the right.
    pub(crate) upward: bool,
    /// Text wider than this is cut.
    pub(crate) max_width: f32,
}

impl From<Role> for Fill {
    fn from(role: Role) -> Self {
        Self { role, opacity: 1.0 }
    }
}

impl Stroke {
    pub(crate) fn solid(role: Role, width: f32) -> Self {
        Self { role, width, dashed: false }
    }

    pub(crate) fn dashed(role: Role, width: f32) -> Self {
        Self { role, width, dashed: true }
    }
}

impl Text {
    /// Regular foreground text that starts at `at`.
    pub(crate) fn new(at: Point, text: impl Into<String>, size: f32) -> Self {
        Self {
            at,
            text: text.into(),
            size,
            weight: Weight::Regular,
            anchor: Anchor::Start,
            role: Role::Foreground,
            upward: false,
            max_width: f32::from(u16::MAX),
        }
    }

    pub(crate) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(crate) fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    pub(crate) fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    pub(crate) fn upward(self) -> Self {
        Self { upward: true, ..self }
    }

    pub(crate) fn within(self, max_width: f32) -> Self {
        Self { max_width, ..self }
    }
}

impl Picture {
    pub(crate) fn new(name: &'static str, title: &str, description: String, width: f32, height: f32) -> Self {
        Self { name, title: title.to_owned(), description, width, height, shapes: Vec::new() }
    }

    /// A stable name to file the picture under, such as `roc`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The heading drawn at its top.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What the picture shows, in a sentence, for readers who cannot see it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Adds a shape; one with a coordinate that is not a finite number is left out.
    pub(crate) fn push(&mut self, shape: Shape) {
        let finite = |&(x, y): &Point| x.is_finite() && y.is_finite();
        let drawable = match &shape {
            Shape::Rect { corner, size, .. } => finite(corner) && finite(size),
            Shape::Line { from, to, .. } => finite(from) && finite(to),
            Shape::Polyline { points, .. } | Shape::Polygon { points, .. } => points.iter().all(finite),
            Shape::Circle { center, radius, .. } => finite(center) && radius.is_finite(),
            Shape::Text(text) => finite(&text.at),
        };
        if drawable {
            self.shapes.push(shape);
        }
    }

    pub(crate) fn rect(&mut self, corner: Point, size: Point, fill: impl Into<Fill>) {
        self.push(Shape::Rect { corner, size, fill: fill.into() });
    }

    pub(crate) fn line(&mut self, from: Point, to: Point, stroke: Stroke) {
        self.push(Shape::Line { from, to, stroke });
    }

    pub(crate) fn circle(&mut self, center: Point, radius: f32, fill: impl Into<Fill>) {
        self.push(Shape::Circle { center, radius, fill: fill.into() });
    }

    pub(crate) fn text(&mut self, mut text: Text) {
        text.text = font::fit(&text.text, text.size, text.weight, text.max_width);
        self.push(Shape::Text(text));
    }
}
