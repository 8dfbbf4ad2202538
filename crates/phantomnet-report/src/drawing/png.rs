//! Draws a picture into pixels and encodes them as PNG.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke as Pen, StrokeDash, Transform,
};

use super::color::Role;
use super::{Picture, Point, Shape, Stroke, Text, font};
use crate::ReportError;

/// Twice the size of a large screen in both directions.
const LARGEST_SCALE: f32 = 8.0;

impl Picture {
    /// The picture as PNG in the light theme, `scale` pixels a user unit (1.5 to 2 looks sharp on most screens).
    ///
    /// # Errors
    /// `ReportError::Scale` when `scale` does not lie in (0, 8], `ReportError::Encode` when the encoder fails.
    pub fn to_png(&self, scale: f32) -> Result<Vec<u8>, ReportError> {
        let wrong_scale = || ReportError::Scale { scale, largest: LARGEST_SCALE };
        if !(scale > 0.0 && scale <= LARGEST_SCALE) {
            return Err(wrong_scale());
        }
        let pixels = |length: f32| (length * scale).round() as u32;
        let mut pixmap = Pixmap::new(pixels(self.width), pixels(self.height)).ok_or_else(wrong_scale)?;
        let [r, g, b] = Role::Background.light();
        pixmap.fill(Color::from_rgba8(r, g, b, 255));
        for shape in &self.shapes {
            draw(&mut pixmap, shape, scale);
        }
        encode(&pixmap).map_err(|source| ReportError::Encode { picture: self.name, source })
    }
}

fn draw(pixmap: &mut Pixmap, shape: &Shape, scale: f32) {
    let to_pixels = Transform::from_scale(scale, scale);
    match shape {
        Shape::Rect { corner, size, fill } => {
            // Scaled here, because with a transform a rectangle is filled as any path, pixel runs and all.
            if let Some(rect) = Rect::from_xywh(corner.0 * scale, corner.1 * scale, size.0 * scale, size.1 * scale) {
                pixmap.fill_rect(rect, &paint(fill.role, fill.opacity), Transform::identity(), None);
            }
        }
        Shape::Line { from, to, stroke } => match straight(*from, *to, stroke, scale) {
            Some(rect) => pixmap.fill_rect(rect, &paint(stroke.role, 1.0), Transform::identity(), None),
            None => draw_line(pixmap, &[*from, *to], stroke, to_pixels),
        },
        Shape::Polyline { points, stroke } => draw_line(pixmap, points, stroke, to_pixels),
        Shape::Polygon { points, fill } => {
            if let Some(path) = path(points, true) {
                pixmap.fill_path(&path, &paint(fill.role, fill.opacity), FillRule::Winding, to_pixels, None);
            }
        }
        Shape::Circle { center, radius, fill } => {
            if let Some(path) = PathBuilder::from_circle(center.0, center.1, *radius) {
                pixmap.fill_path(&path, &paint(fill.role, fill.opacity), FillRule::Winding, to_pixels, None);
            }
        }
        Shape::Text(text) => draw_text(pixmap, text, scale),
    }
}

/// A solid line along one axis as a rectangle of whole pixels: sharp, and drawn at once.
fn straight(from: Point, to: Point, stroke: &Stroke, scale: f32) -> Option<Rect> {
    let thickness = (stroke.width * scale).round().max(1.0);
    let across = |at: f32| (at * scale - thickness / 2.0).round();
    let along = |a: f32, b: f32| ((a.min(b) * scale).round(), (a.max(b) * scale).round());
    if stroke.dashed {
        None
    } else if from.1 == to.1 {
        let (left, right) = along(from.0, to.0);
        Rect::from_ltrb(left, across(from.1), right, across(from.1) + thickness)
    } else if from.0 == to.0 {
        let (top, bottom) = along(from.1, to.1);
        Rect::from_ltrb(across(from.0), top, across(from.0) + thickness, bottom)
    } else {
        None
    }
}

fn draw_text(pixmap: &mut Pixmap, text: &Text, scale: f32) {
    let (width, height) = (i64::from(pixmap.width()), i64::from(pixmap.height()));
    let ink = text.role.light();
    let pixels = pixmap.data_mut();
    font::rasterize(text, scale, |x, y, coverage| {
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let at = (y * width + x) as usize * 4;
            for (under, ink) in pixels[at..at + 3].iter_mut().zip(ink) {
                let mixed = f32::from(*under) + (f32::from(ink) - f32::from(*under)) * coverage.min(1.0);
                *under = mixed.round() as u8;
            }
        }
    });
}

fn draw_line(pixmap: &mut Pixmap, points: &[Point], stroke: &Stroke, to_pixels: Transform) {
    let Some(path) = path(points, false) else { return };
    let pen = Pen {
        width: stroke.width,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        dash: if stroke.dashed { StrokeDash::new(vec![5.0, 4.0], 0.0) } else { None },
        ..Pen::default()
    };
    pixmap.stroke_path(&path, &paint(stroke.role, 1.0), &pen, to_pixels, None);
}

fn path(points: &[Point], closed: bool) -> Option<tiny_skia::Path> {
    let (&(x, y), rest) = points.split_first()?;
    let mut path = PathBuilder::new();
    path.move_to(x, y);
    for &(x, y) in rest {
        path.line_to(x, y);
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn paint(role: Role, opacity: f32) -> Paint<'static> {
    let [r, g, b] = role.light();
    let mut paint = Paint::default();
    let alpha = (opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
    paint.set_color_rgba8(r, g, b, alpha);
    paint
}

/// The background covers every pixel, so alpha is dropped.
fn encode(pixmap: &Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let mut rgb = vec![0; pixmap.data().len() / 4 * 3];
    for (rgb, rgba) in rgb.chunks_exact_mut(3).zip(pixmap.data().chunks_exact(4)) {
        rgb.copy_from_slice(&rgba[..3]);
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixmap.width(), pixmap.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // The default level gives files of 0.4 of the size, but takes some 5 times longer than drawing and this together.
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Up);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0)]
    #[case(-1.0)]
    #[case(f32::NAN)]
    #[case(f32::INFINITY)]
    #[case(8.5)]
    #[case(0.01)]
    fn a_scale_that_cannot_be_drawn_is_an_error(#[case] scale: f32) {
        let picture = Picture::new("test", "", String::new(), 20.0, 10.0);
        assert!(matches!(picture.to_png(scale), Err(ReportError::Scale { .. })));
    }

    #[test]
    fn pixels_are_where_the_shapes_are() {
        let mut picture = Picture::new("test", "", String::new(), 20.0, 10.0);
        picture.rect((10.0, 0.0), (10.0, 10.0), Role::Series(0));
        let bytes = picture.to_png(2.0).expect("drawn");
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
        let mut rgb = vec![0; reader.output_buffer_size().expect("fits")];
        let info = reader.next_frame(&mut rgb).expect("a frame");
        assert_eq!((info.width, info.height, info.color_type), (40, 20, png::ColorType::Rgb));
        assert_eq!(rgb[..3], [255, 255, 255]);
        assert_eq!(rgb[rgb.len() - 3..], [0x00, 0x72, 0xb2]);
    }
}
