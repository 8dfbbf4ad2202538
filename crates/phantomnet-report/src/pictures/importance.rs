//! Feature importance.

use super::{left_out, short};
use crate::Picture;
use crate::chart::frame::{Axis, Frame, not_defined};
use crate::chart::scale::{Scale, is_drawable};
use crate::drawing::color::Role;
use crate::drawing::font;
use crate::drawing::{Anchor, Stroke, Text, Weight};
use crate::number::metric;

/// How much a model owes to one feature.
#[derive(Debug, Clone, Default)]
pub struct FeatureImportance {
    /// Name of the feature.
    pub feature: String,
    /// Its importance, in the unit that `measure` names.
    pub importance: f64,
}

const N_BARS: usize = 25;
const BAR: f32 = 22.0;

/// Bars of the 25 most important features; `measure` names what is measured, such as `share of the Gini decrease`.
pub fn feature_importance(measure: &str, importances: &[FeatureImportance]) -> Picture {
    const NAME: &str = "feature_importance";
    const TITLE: &str = "Feature importance";
    let mut drawn: Vec<&FeatureImportance> = importances.iter().filter(|i| is_drawable(i.importance)).collect();
    drawn.sort_by(|a, b| b.importance.total_cmp(&a.importance));
    let n_defined = drawn.len();
    drawn.truncate(N_BARS);
    if drawn.is_empty() {
        return not_defined(NAME, TITLE, "the model gives no importances");
    }
    let said: Vec<String> = drawn.iter().map(|i| format!("{} {}", short(&i.feature), metric(i.importance))).collect();
    let subtitle =
        if n_defined > N_BARS { format!("the {N_BARS} highest of {n_defined} features") } else { String::new() };
    let note = left_out(importances.len() - n_defined, "importances");
    let fixed = 100.0 + if subtitle.is_empty() { 0.0 } else { 18.0 } + if note.is_empty() { 0.0 } else { 18.0 };
    let height = fixed + BAR * drawn.len() as f32;
    let description = format!("Feature importance, highest first: {}.", said.join("; "));
    let mut frame = Frame::new(NAME, TITLE, &subtitle, description, height);
    frame.footnote(&note);

    let widest = drawn.iter().map(|i| font::width(&i.feature, 12.5, Weight::Regular)).fold(0.0, f32::max);
    let label_width = widest.clamp(40.0, 260.0);
    let low = drawn.iter().map(|i| i.importance).fold(0.0, f64::min);
    let high = drawn.iter().map(|i| i.importance).fold(0.0, f64::max);
    let x_scale = Scale::around(low, if high > low { high } else { low + 1.0 });
    let (top, bottom) = (frame.top + 4.0, frame.top + 4.0 + BAR * drawn.len() as f32);
    let plot = frame.area(frame.left + label_width + 10.0, top, frame.right - 56.0, bottom, x_scale, Scale::UNIT);
    frame.x_axis(&plot, &Axis::new(measure, x_scale, 6), true);
    for (i, importance) in drawn.iter().enumerate() {
        let middle = top + BAR * (i as f32 + 0.5);
        let (zero, end) = (plot.x(0.0), plot.x(importance.importance));
        let (from, to) = if end >= zero { (zero, end) } else { (end, zero) };
        frame.picture.rect((from, middle - 7.5), ((to - from).max(0.5), 15.0), Role::Series(0));
        let label = Text::new((plot.left - 8.0, middle + 4.5), importance.feature.as_str(), 12.5);
        frame.picture.text(label.anchor(Anchor::End).within(label_width));
        let value = Text::new((to + 6.0, middle + 4.5), metric(importance.importance), 12.0);
        frame.picture.text(value.role(Role::Muted).within(64.0));
    }
    let zero = plot.x(0.0);
    frame.picture.line((zero, top), (zero, bottom), Stroke::solid(Role::Muted, 1.2));
    frame.picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str, importance: f64) -> FeatureImportance {
        FeatureImportance { feature: name.to_owned(), importance }
    }

    #[test]
    fn the_highest_come_first() {
        let picture = feature_importance("gain", &[feature("a", 0.1), feature("b", 0.7), feature("c", -0.2)]);
        assert_eq!(picture.description(), "Feature importance, highest first: b 0.700; a 0.100; c -0.200.");
    }

    #[test]
    fn at_most_25_are_drawn_and_what_is_no_number_is_counted() {
        let mut features: Vec<FeatureImportance> = (0..30).map(|i| feature(&format!("f{i}"), f64::from(i))).collect();
        features.push(feature("broken", f64::NAN));
        let svg = feature_importance("gain", &features).to_svg();
        assert!(
            svg.contains("the 25 highest of 30 features")
                && svg.contains("importances left out because they are not finite numbers: 1"),
            "{svg}"
        );
        assert!(svg.contains(">f5<") && !svg.contains(">f4<"));
    }

    #[test]
    fn without_importances_there_is_no_picture() {
        assert!(feature_importance("gain", &[]).description().starts_with("Not defined"));
    }
}
