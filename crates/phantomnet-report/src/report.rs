//! One page that says what a model is worth and how anyone can check it.
//!
//! The page stands alone: style and pictures are inline, there is no script, and its content security policy forbids the
//! browser to fetch anything, should something hostile ever slip through the escaping.

mod evidence;
pub(crate) mod model;
mod setup;
mod table;
mod worth;

use crate::drawing::color;
use crate::markup::Markup;
use crate::visible::one_line;
use model::Report;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The page as one HTML document.
///
/// It leads with what the model is worth, then the evidence, then how it came about. Parts without content are absent.
pub fn render_report(report: &Report) -> String {
    let mut page = Markup::default();
    page.verbatim("<!DOCTYPE html>\n");
    page.tag("html", &[("lang", "en")], |m| {
        m.tag("head", &[], |m| head(m, report));
        m.tag("body", &[], |m| body(m, report));
    });
    page.finish()
}

fn head(m: &mut Markup, report: &Report) {
    m.empty("meta", &[("charset", "utf-8")]);
    m.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    m.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    m.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    m.leaf("title", &[], &one_line(&report.title, 200));
    m.tag("style", &[], |m| {
        m.verbatim(color::style_sheet());
        m.verbatim(include_str!("report/style.css"));
    });
}

fn body(m: &mut Markup, report: &Report) {
    m.tag("header", &[], |m| worth::masthead(m, report));
    m.tag("main", &[], |m| {
        worth::verdict(m, report);
        let shown = || SECTIONS.iter().filter(|section| (section.is_present)(report));
        m.tag("nav", &[("aria-label", "Contents")], |m| {
            for section in shown() {
                m.leaf("a", &[("href", section.link)], section.heading);
            }
        });
        for section in shown() {
            m.tag("section", &[("id", &section.link[1..])], |m| {
                m.leaf("h2", &[], section.heading);
                (section.write)(m, report);
            });
        }
    });
}

struct Section {
    link: &'static str,
    heading: &'static str,
    is_present: fn(&Report) -> bool,
    write: fn(&mut Markup, &Report),
}

const SECTIONS: &[Section] = &[
    Section {
        link: "#pictures",
        heading: "Pictures",
        is_present: |r| !r.pictures.is_empty(),
        write: evidence::pictures,
    },
    Section { link: "#classes", heading: "By class", is_present: |r| !r.classes.is_empty(), write: evidence::classes },
    Section {
        link: "#cross-validation",
        heading: "Cross-validation",
        is_present: |r| !r.cross_validation.is_empty(),
        write: evidence::cross_validation,
    },
    Section {
        link: "#errors",
        heading: "The worst errors",
        is_present: |r| !r.worst_errors.is_empty(),
        write: evidence::worst_errors,
    },
    Section { link: "#data", heading: "Data", is_present: |r| r.data.is_some(), write: setup::data },
    Section { link: "#features", heading: "Features", is_present: |r| !r.features.is_empty(), write: setup::features },
    Section { link: "#latency", heading: "Latency", is_present: |r| r.latency.is_some(), write: setup::latency },
    Section { link: "#metrics", heading: "All metrics", is_present: |r| !r.metrics.is_empty(), write: setup::metrics },
    Section { link: "#timings", heading: "Timings", is_present: |r| !r.timings.is_empty(), write: setup::timings },
    Section {
        link: "#configuration",
        heading: "Configuration",
        is_present: |r| r.configuration.is_some(),
        write: setup::configuration,
    },
    Section {
        link: "#reproduce",
        heading: "How to reproduce it",
        is_present: |r| !r.commands.is_empty(),
        write: setup::commands,
    },
    Section { link: "#provenance", heading: "Provenance", is_present: |_| true, write: setup::provenance },
];
