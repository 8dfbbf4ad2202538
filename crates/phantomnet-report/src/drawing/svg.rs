//! Writes a picture as SVG.

use super::color::{Role, hex};
use super::{Anchor, Fill, Picture, Point, Shape, Stroke, Text, Weight};
use crate::markup::{Attr, Markup};

const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

impl Picture {
    /// The picture as one SVG document.
    ///
    /// Colours are literal, of the light theme, so that any viewer shows it; each shape also names its role as a class, by
    /// which a page that holds the SVG inline recolours it.
    pub fn to_svg(&self) -> String {
        let mut markup = Markup::default();
        self.write_svg(&mut markup);
        markup.finish()
    }

    pub(crate) fn write_svg(&self, markup: &mut Markup) {
        let (width, height) = (number(self.width), number(self.height));
        let view_box = format!("0 0 {width} {height}");
        let attrs = [
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("viewBox", view_box.as_str()),
            ("width", &width),
            ("height", &height),
            ("role", "img"),
            ("aria-label", &self.title),
            ("font-family", FONTS),
        ];
        markup.tag("svg", &attrs, |m| {
            m.leaf("title", &[], &self.title);
            m.leaf("desc", &[], &self.description);
            let background =
                Shape::Rect { corner: (0.0, 0.0), size: (self.width, self.height), fill: Role::Background.into() };
            write_shape(m, &background);
            for shape in &self.shapes {
                write_shape(m, shape);
            }
        });
    }
}

fn write_shape(m: &mut Markup, shape: &Shape) {
    match shape {
        Shape::Rect { corner, size, fill } => {
            let [x, y, w, h] = [corner.0, corner.1, size.0, size.1].map(number);
            filled(m, "rect", fill, &[("x", &x), ("y", &y), ("width", &w), ("height", &h)]);
        }
        Shape::Line { from, to, stroke } => {
            let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
            stroked(m, "line", stroke, &[("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
        }
        Shape::Polyline { points, stroke } => {
            stroked(m, "polyline", stroke, &[("points", &joined(points)), ("fill", "none")]);
        }
        Shape::Polygon { points, fill } => filled(m, "polygon", fill, &[("points", &joined(points))]),
        Shape::Circle { center, radius, fill } => {
            let [cx, cy, r] = [center.0, center.1, *radius].map(number);
            filled(m, "circle", fill, &[("cx", &cx), ("cy", &cy), ("r", &r)]);
        }
        Shape::Text(text) => write_text(m, text),
    }
}

fn write_text(m: &mut Markup, text: &Text) {
    let [x, y, size] = [text.at.0, text.at.1, text.size].map(number);
    let rotation = format!("rotate(-90 {x} {y})");
    let (class, literal) = painted("f", text.role);
    let mut attrs: Vec<Attr<'_>> =
        vec![("x", &x), ("y", &y), ("font-size", &size), ("class", &class), ("fill", &literal)];
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => attrs.push(("text-anchor", "middle")),
        Anchor::End => attrs.push(("text-anchor", "end")),
    }
    if text.weight == Weight::Bold {
        attrs.push(("font-weight", "600"));
    }
    if text.upward {
        attrs.push(("transform", &rotation));
    }
    m.leaf("text", &attrs, &text.text);
}

fn filled(m: &mut Markup, name: &'static str, fill: &Fill, geometry: &[Attr<'_>]) {
    let (class, literal) = painted("f", fill.role);
    let opacity = number(fill.opacity);
    let mut attrs = geometry.to_vec();
    attrs.extend([("class", class.as_str()), ("fill", &literal)]);
    if fill.opacity < 1.0 {
        attrs.push(("fill-opacity", &opacity));
    }
    m.empty(name, &attrs);
}

fn stroked(m: &mut Markup, name: &'static str, stroke: &Stroke, geometry: &[Attr<'_>]) {
    let (class, literal) = painted("l", stroke.role);
    let width = number(stroke.width);
    let mut attrs = geometry.to_vec();
    attrs.extend([
        ("class", class.as_str()),
        ("stroke", &literal),
        ("stroke-width", &width),
        ("stroke-linejoin", "round"),
    ]);
    if stroke.dashed {
        attrs.push(("stroke-dasharray", "5 4"));
    }
    m.empty(name, &attrs);
}

fn painted(kind: &str, role: Role) -> (String, String) {
    (format!("{kind}-{}", role.name()), hex(role.light()))
}

fn joined(points: &[Point]) -> String {
    let pairs: Vec<String> = points.iter().map(|&(x, y)| format!("{},{}", number(x), number(y))).collect();
    pairs.join(" ")
}

/// Hundredths are finer than any screen; trailing zeros go.
fn number(value: f32) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.001, "0")]
    #[case(10.0, "10")]
    #[case(12.345, "12.35")]
    #[case(-3.5, "-3.5")]
    fn coordinates_are_short(#[case] value: f32, #[case] want: &str) {
        assert_eq!(number(value), want);
    }

    #[test]
    fn every_shape_is_written() {
        let mut picture = Picture::new("test", "A < B", "two & three".to_owned(), 20.0, 10.0);
        let ink = Role::Foreground;
        picture.line((0.0, 1.0), (2.0, 3.0), Stroke::dashed(ink, 1.5));
        picture.circle((5.0, 5.0), 2.0, Fill { role: ink, opacity: 0.5 });
        picture.push(Shape::Polygon { points: vec![(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)], fill: ink.into() });
        picture.push(Shape::Polyline { points: vec![(0.0, 0.0), (4.0, 4.5)], stroke: Stroke::solid(ink, 1.0) });
        picture.text(Text::new((1.0, 9.0), "x > y", 12.0).bold().upward().anchor(Anchor::End));
        picture.line((f32::NAN, 0.0), (1.0, 1.0), Stroke::solid(ink, 1.0));
        let want = concat!(
            r##"<title>A &lt; B</title><desc>two &amp; three</desc>"##,
            r##"<rect x="0" y="0" width="20" height="10" class="f-bg" fill="#ffffff"/>"##,
            r##"<line x1="0" y1="1" x2="2" y2="3" class="l-fg" stroke="#12161c" stroke-width="1.5" stroke-linejoin="round" stroke-dasharray="5 4"/>"##,
            r##"<circle cx="5" cy="5" r="2" class="f-fg" fill="#12161c" fill-opacity="0.5"/>"##,
            r##"<polygon points="0,0 1,0 0.5,1" class="f-fg" fill="#12161c"/>"##,
            r##"<polyline points="0,0 4,4.5" fill="none" class="l-fg" stroke="#12161c" stroke-width="1" stroke-linejoin="round"/>"##,
            r##"<text x="1" y="9" font-size="12" class="f-fg" fill="#12161c" text-anchor="end" font-weight="600" transform="rotate(-90 1 9)">x &gt; y</text></svg>"##,
        );
        let svg = picture.to_svg();
        assert_eq!(svg.split_once("<title>").map(|(_, rest)| format!("<title>{rest}")).as_deref(), Some(want));
    }
}
