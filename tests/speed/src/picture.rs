//! Pictures of the figures, as SVG that reads in light and in dark.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const INSET: f64 = 60.0;

/// Something drawn as a line over numbers.
#[derive(Debug)]
pub(crate) struct Curve {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

fn begin(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}\">\n<style>text{{font:13px system-ui,sans-serif;fill:#24292f}}.axis{{stroke:#8c959f}}\
         .line{{stroke:#b35900;stroke-width:2;fill:none}}.dot{{fill:#b35900}}.bar{{fill:#8c959f}}.ours{{fill:#b35900}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.line{{stroke:#ffa657}}.dot,.ours{{fill:#ffa657}}}}</style>\n\
         <text x=\"{INSET}\" y=\"22\" font-weight=\"600\">{title}</text>\n"
    )
}

/// Bars on a logarithmic scale, since a peer is a hundred times what we are.
pub(crate) fn bars(title: &str, groups: &[(String, Vec<(&str, f64)>)], ours: &str) -> String {
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 1).sum();
    let height = 50.0 + 20.0 * rows as f64;
    let largest = groups.iter().flat_map(|(_, bars)| bars).map(|(_, value)| *value).fold(1.0, f64::max);
    let mut svg = begin(height, title);
    let mut y = 46.0;
    for (name, bars) in groups {
        let _ = writeln!(svg, "<text x=\"{INSET}\" y=\"{y}\" font-weight=\"600\">{name}</text>");
        y += 20.0;
        for (who, value) in bars {
            let long = (value.ln_1p() / largest.ln_1p() * 420.0).max(2.0);
            let class = if *who == ours { "ours" } else { "bar" };
            let _ = writeln!(
                svg,
                "<text x=\"170\" y=\"{y}\" text-anchor=\"end\">{who}</text><rect class=\"{class}\" x=\"180\" y=\"{}\" \
                 width=\"{long:.1}\" height=\"13\"/><text x=\"{:.1}\" y=\"{y}\">{value:.2}</text>",
                y - 11.0,
                188.0 + long,
            );
            y += 20.0;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

impl Curve {
    /// As a picture; both axes begin at zero.
    pub(crate) fn svg(&self) -> String {
        let (height, floor, top) = (300.0, 250.0, 50.0);
        let most = |of: fn(&(f64, f64)) -> f64| self.points.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
        let (wide, high) = (most(|point| point.0), most(|point| point.1));
        let x = |value: f64| INSET + value / wide * (WIDTH - 2.0 * INSET);
        let y = |value: f64| floor - value / high * (floor - top);
        let mut svg = begin(height, self.title);
        let _ = writeln!(
            svg,
            "<path class=\"axis\" fill=\"none\" d=\"M{INSET} {top}V{floor}H{}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{}\">{}</text>",
            WIDTH - INSET,
            WIDTH - INSET,
            floor + 38.0,
            self.across,
            INSET + 6.0,
            top - 8.0,
            self.up,
        );
        let path: Vec<_> = self.points.iter().map(|(a, b)| format!("{:.1} {:.1}", x(*a), y(*b))).collect();
        let _ = writeln!(svg, "<path class=\"line\" d=\"M{}\"/>", path.join("L"));
        for (a, b) in &self.points {
            let _ = writeln!(svg, "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(*a), y(*b));
        }
        for (value, at) in [(wide, x(wide)), (wide / 2.0, x(wide / 2.0))] {
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{value:.0}</text>",
                floor + 18.0
            );
        }
        for (value, at) in [(high, y(high)), (high / 2.0, y(high / 2.0))] {
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\">{value:.0}</text>",
                INSET - 6.0
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}
