//! The frame of a chart: title, subtitle, legend, axes, and the plot area inside.

use super::scale::{Scale, Tick};
use crate::drawing::color::Role;
use crate::drawing::font;
use crate::drawing::{Anchor, Picture, Point, Shape, Stroke, Text, Weight};
use crate::number::count;

/// Width of every picture, in user units.
pub(crate) const WIDTH: f32 = 720.0;
/// Height of most pictures.
pub(crate) const HEIGHT: f32 = 440.0;

const MARGIN: f32 = 20.0;
/// Right of the plot, where the last tick label reaches out.
const RIGHT_MARGIN: f32 = 28.0;
const TICK_SIZE: f32 = 12.0;
const LEGEND_SIZE: f32 = 12.5;
const LEGEND_ROW: f32 = 20.0;

/// A numeric axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// What is measured, with its unit.
    pub(crate) title: String,
    pub(crate) scale: Scale,
    pub(crate) ticks: Vec<Tick>,
}

impl Axis {
    pub(crate) fn new(title: impl Into<String>, scale: Scale, n_ticks: usize) -> Self {
        Self { title: title.into(), scale, ticks: scale.ticks(n_ticks) }
    }

    /// An axis of counts: ticks at whole numbers only.
    pub(crate) fn counts(title: impl Into<String>, scale: Scale) -> Self {
        let mut axis = Self::new(title, scale, 5);
        axis.ticks.retain(|tick| tick.value.fract() == 0.0);
        for tick in &mut axis.ticks {
            tick.label = count(tick.value as u64);
        }
        axis
    }
}

/// How a legend shows an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Line,
    Dashed,
    Box,
    Dot,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) mark: Mark,
    pub(crate) role: Role,
    pub(crate) label: String,
}

/// A picture under construction and the part of it still free.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) picture: Picture,
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
}

/// The area between the axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plot {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
    x: Scale,
    y: Scale,
}

impl Plot {
    pub(crate) fn x(&self, value: f64) -> f32 {
        self.left + (self.right - self.left) * self.x.place(value) as f32
    }

    pub(crate) fn y(&self, value: f64) -> f32 {
        self.bottom - (self.bottom - self.top) * self.y.place(value) as f32
    }

    pub(crate) fn at(&self, (x, y): (f64, f64)) -> Point {
        (self.x(x), self.y(y))
    }
}

impl Frame {
    pub(crate) fn new(name: &'static str, title: &str, subtitle: &str, description: String, height: f32) -> Self {
        let mut picture = Picture::new(name, title, description, WIDTH, height);
        let room = WIDTH - 2.0 * MARGIN;
        picture.text(Text::new((MARGIN, 30.0), title, 17.0).bold().within(room));
        let mut top = 46.0;
        if !subtitle.is_empty() {
            picture.text(Text::new((MARGIN, 50.0), subtitle, 12.5).role(Role::Muted).within(room));
            top = 64.0;
        }
        Self { picture, left: MARGIN, top, right: WIDTH - RIGHT_MARGIN, bottom: height - 14.0 }
    }

    /// A legend in rows under the title.
    pub(crate) fn legend_rows(&mut self, entries: &[Entry]) {
        let mut x = MARGIN;
        let mut y = self.top;
        for entry in entries {
            let label = font::fit(&entry.label, LEGEND_SIZE, Weight::Regular, 300.0);
            let width = 26.0 + font::width(&label, LEGEND_SIZE, Weight::Regular) + 22.0;
            if x > MARGIN && x + width > WIDTH - MARGIN + 22.0 {
                x = MARGIN;
                y += LEGEND_ROW;
            }
            self.entry((x, y), entry, 300.0);
            x += width;
        }
        self.top = y + LEGEND_ROW + 6.0;
    }

    /// A legend in a column of `width` at the right.
    pub(crate) fn legend_column(&mut self, entries: &[Entry], width: f32) {
        self.right = WIDTH - MARGIN - width - 24.0;
        let mut y = self.top + 8.0;
        for entry in entries {
            self.entry((self.right + 24.0, y), entry, width - 26.0);
            y += LEGEND_ROW + 4.0;
        }
    }

    fn entry(&mut self, (x, y): Point, entry: &Entry, max_width: f32) {
        let middle = y + LEGEND_ROW / 2.0;
        match entry.mark {
            Mark::Line => self.picture.line((x, middle), (x + 18.0, middle), Stroke::solid(entry.role, 3.0)),
            Mark::Dashed => self.picture.line((x, middle), (x + 18.0, middle), Stroke::dashed(entry.role, 2.0)),
            Mark::Box => self.picture.rect((x + 3.0, middle - 6.0), (12.0, 12.0), entry.role),
            Mark::Dot => self.picture.circle((x + 9.0, middle), 4.5, entry.role),
        }
        let label = Text::new((x + 26.0, middle + 4.5), entry.label.as_str(), LEGEND_SIZE).within(max_width);
        self.picture.text(label);
    }

    /// Draws both axes with their grid and gives the area between them.
    pub(crate) fn axes(&mut self, x: &Axis, y: &Axis) -> Plot {
        let label_width = y.ticks.iter().map(|t| font::width(&t.label, TICK_SIZE, Weight::Regular)).fold(0.0, f32::max);
        let plot = Plot {
            left: self.left + 22.0 + label_width + 8.0,
            top: self.top + 8.0,
            right: self.right,
            bottom: self.bottom - 40.0,
            x: x.scale,
            y: y.scale,
        };
        self.y_axis(&plot, y);
        self.x_axis(&plot, x, true);
        plot
    }

    /// Grid, tick labels and title of the vertical axis.
    pub(crate) fn y_axis(&mut self, plot: &Plot, axis: &Axis) {
        let picture = &mut self.picture;
        for tick in &axis.ticks {
            let y = plot.y(tick.value);
            picture.line((plot.left, y), (plot.right, y), Stroke::solid(Role::Grid, 1.0));
            let label = Text::new((plot.left - 8.0, y + 4.2), tick.label.as_str(), TICK_SIZE);
            picture.text(label.anchor(Anchor::End).role(Role::Muted));
        }
        let middle = (plot.top + plot.bottom) / 2.0;
        let title = Text::new((self.left + 10.0, middle), axis.title.as_str(), 13.0).anchor(Anchor::Middle).upward();
        picture.text(title.within(plot.bottom - plot.top + 40.0));
        picture.line((plot.left, plot.bottom), (plot.left, plot.top), Stroke::solid(Role::Muted, 1.2));
    }

    /// Tick labels, title and, where asked for, grid of the horizontal axis.
    pub(crate) fn x_axis(&mut self, plot: &Plot, axis: &Axis, grid: bool) {
        let picture = &mut self.picture;
        let mut free_from = f32::MIN;
        for tick in &axis.ticks {
            let x = plot.x(tick.value);
            if grid {
                picture.line((x, plot.top), (x, plot.bottom), Stroke::solid(Role::Grid, 1.0));
            }
            let half = font::width(&tick.label, TICK_SIZE, Weight::Regular) / 2.0;
            if x - half < free_from {
                continue;
            }
            free_from = x + half + 6.0;
            let label = Text::new((x, plot.bottom + 17.0), tick.label.as_str(), TICK_SIZE);
            picture.text(label.anchor(Anchor::Middle).role(Role::Muted));
        }
        let middle = (plot.left + plot.right) / 2.0;
        let title = Text::new((middle, plot.bottom + 38.0), axis.title.as_str(), 13.0).anchor(Anchor::Middle);
        picture.text(title.within(plot.right - plot.left + 60.0));
        picture.line((plot.left, plot.bottom), (plot.right, plot.bottom), Stroke::solid(Role::Muted, 1.2));
    }

    /// An area over both scales without drawn axes.
    pub(crate) fn area(&self, left: f32, top: f32, right: f32, bottom: f32, x: Scale, y: Scale) -> Plot {
        Plot { left, top, right, bottom, x, y }
    }

    /// A dashed vertical line with its label at the top; `row` sets labels that would meet one below the other.
    pub(crate) fn marker(&mut self, plot: &Plot, value: f64, label: &str, row: usize) {
        let x = plot.x(value);
        self.picture.line((x, plot.bottom), (x, plot.top), Stroke::dashed(Role::Foreground, 1.6));
        let width = font::width(label, 12.0, Weight::Regular);
        let fits_right = x + 6.0 + width <= WIDTH - 8.0;
        let (start, anchor) = if fits_right { (x + 6.0, Anchor::Start) } else { (x - 6.0, Anchor::End) };
        let y = plot.top + 14.0 + 17.0 * row as f32;
        let left = if fits_right { start } else { start - width };
        // Without a ground of its own the label would be lost among bars.
        self.picture.rect((left - 3.0, y - 12.0), (width + 6.0, 16.0), Role::Background);
        self.picture.text(Text::new((start, y), label, 12.0).anchor(anchor));
    }

    /// A muted line of text under everything else.
    pub(crate) fn footnote(&mut self, text: &str) {
        if !text.is_empty() {
            let note = Text::new((MARGIN, self.bottom + 2.0), text, 11.5).role(Role::Muted);
            self.picture.text(note.within(WIDTH - 2.0 * MARGIN));
            self.bottom -= 18.0;
        }
    }
}

/// The picture of something that has no value: says why instead of showing an empty plot.
pub(crate) fn not_defined(name: &'static str, title: &str, why: &str) -> Picture {
    let mut frame = Frame::new(name, title, "", format!("Not defined: {why}."), HEIGHT);
    let (left, right, top, bottom) = (MARGIN, WIDTH - MARGIN, frame.top + 6.0, HEIGHT - MARGIN);
    let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    frame.picture.push(Shape::Polyline { points: corners, stroke: Stroke::dashed(Role::Muted, 1.2) });
    let note = Text::new((WIDTH / 2.0, (top + bottom) / 2.0), format!("not defined: {why}"), 15.0);
    frame.picture.text(note.anchor(Anchor::Middle).role(Role::Muted).within(right - left - 40.0));
    frame.picture
}

/// `points` without those that lie less than a third of a unit from the last one kept; the ends stay.
pub(crate) fn thin(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    let mut skipped = None;
    for point in points {
        let near = kept.last().is_some_and(|&(x, y)| (point.0 - x).abs() + (point.1 - y).abs() < 0.33);
        if near {
            skipped = Some(point);
        } else {
            kept.push(point);
            skipped = None;
        }
    }
    kept.extend(skipped);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_ends_and_what_is_apart() {
        let points = [(0.0, 0.0), (0.1, 0.0), (0.2, 0.1), (5.0, 0.0), (5.1, 0.0)];
        assert_eq!(thin(points.into_iter()), [(0.0, 0.0), (5.0, 0.0), (5.1, 0.0)]);
        assert_eq!(thin(std::iter::empty()), []);
    }

    #[test]
    fn thinning_bounds_a_million_points() {
        let points = (0..1_000_000).map(|i| (i as f32 * 6e-4, 0.0));
        assert!(thin(points).len() < 2000);
    }

    #[test]
    fn a_plot_turns_y_upside_down() {
        let frame = Frame::new("test", "", "", String::new(), HEIGHT);
        let plot = frame.area(100.0, 50.0, 300.0, 250.0, Scale::UNIT, Scale::UNIT);
        assert_eq!((plot.at((0.0, 0.0)), plot.at((1.0, 1.0))), ((100.0, 250.0), (300.0, 50.0)));
    }
}
