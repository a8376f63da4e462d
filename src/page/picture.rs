//! The two charts as a picture of their own: SVG text, or painted on a canvas for a PNG. Its colours are in it, so it
//! looks the same wherever it is opened. Pure but for [`Picture::paint`].

use std::fmt::Write;

use web_sys::CanvasRenderingContext2d;

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Stroke {
    /// In the picture's pixels.
    pub points: Vec<(f32, f32)>,
    /// As CSS writes it.
    pub colour: String,
    /// In pixels.
    pub width: f32,
    /// 0 to 1.
    pub opacity: f32,
    /// Whether it is dotted.
    pub dotted: bool,
}

/// A text.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Where it is anchored: the baseline.
    pub at: (f32, f32),
    /// What it says.
    pub text: String,
    /// As CSS writes it.
    pub colour: String,
    /// In pixels.
    pub size: f32,
    /// Whether it is bold.
    pub bold: bool,
    /// `start`, `middle` or `end`.
    pub anchor: &'static str,
}

/// A part of the picture beyond whose edges nothing is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Left, top, width and height.
    pub frame: (f32, f32, f32, f32),
    /// Its lines, in the picture's coordinates.
    pub strokes: Vec<Stroke>,
    /// Hollow dots.
    pub dots: Vec<(f32, f32)>,
}

/// The whole picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Width and height, in pixels.
    pub size: (f32, f32),
    /// The ground's colour.
    pub paper: String,
    /// The dots' colour.
    pub dot: String,
    /// Lines of the axes.
    pub strokes: Vec<Stroke>,
    /// The charts.
    pub panels: Vec<Panel>,
    /// Texts.
    pub labels: Vec<Label>,
}

/// The font of its texts.
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', sans-serif";
/// A dot's radius.
const RADIUS: f32 = 3.6;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Picture {
    /// As SVG.
    pub fn svg(&self) -> String {
        let (width, height) = self.size;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>",
            escaped(&self.paper)
        );
        self.strokes.iter().for_each(|stroke| stroke.svg(&mut svg));
        for Panel { frame: (left, top, width, height), strokes, dots } in &self.panels {
            let _ = write!(
                svg,
                "<svg x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
                 viewBox=\"{left} {top} {width} {height}\" overflow=\"hidden\">"
            );
            strokes.iter().for_each(|stroke| stroke.svg(&mut svg));
            svg.push_str("</svg>");
            for (x, y) in dots {
                let (paper, dot) = (escaped(&self.paper), escaped(&self.dot));
                let _ = write!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\" fill=\"{paper}\" stroke=\"{dot}\" \
                     stroke-width=\"2\"/>"
                );
            }
        }
        for Label { at: (x, y), text, colour, size, bold, anchor } in &self.labels {
            let (text, colour, weight) = (escaped(text), escaped(colour), if *bold { 650 } else { 400 });
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{colour}\" \
                 text-anchor=\"{anchor}\">{text}</text>"
            );
        }
        svg + "</svg>\n"
    }

    /// On a canvas of that size.
    pub fn paint(&self, context: &CanvasRenderingContext2d) {
        let f = f64::from;
        context.set_fill_style_str(&self.paper);
        context.fill_rect(0.0, 0.0, f(self.size.0), f(self.size.1));
        self.strokes.iter().for_each(|stroke| stroke.paint(context));
        for Panel { frame: (left, top, width, height), strokes, dots } in &self.panels {
            context.save();
            context.begin_path();
            context.rect(f(*left), f(*top), f(*width), f(*height));
            context.clip();
            strokes.iter().for_each(|stroke| stroke.paint(context));
            context.restore();
            for (x, y) in dots {
                context.set_fill_style_str(&self.paper);
                context.begin_path();
                let _ = context.arc(f(*x), f(*y), f(RADIUS), 0.0, std::f64::consts::TAU);
                context.fill();
                context.set_stroke_style_str(&self.dot);
                context.set_line_width(2.0);
                context.stroke();
            }
        }
        for Label { at: (x, y), text, colour, size, bold, anchor } in &self.labels {
            context.set_font(&format!("{} {size}px {FONT}", if *bold { 650 } else { 400 }));
            context.set_fill_style_str(colour);
            context.set_text_align(if *anchor == "middle" { "center" } else { anchor });
            let _ = context.fill_text(text, f(*x), f(*y));
        }
    }
}

impl Stroke {
    fn svg(&self, svg: &mut String) {
        let Stroke { points, colour, width, opacity, dotted } = self;
        if points.len() < 2 {
            return;
        }
        svg.push_str("<path d=\"");
        for (index, (x, y)) in points.iter().enumerate() {
            let _ = write!(svg, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        let dots = if *dotted { " stroke-dasharray=\"2 4\"" } else { "" };
        let _ = write!(
            svg,
            "\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-opacity=\"{opacity}\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"{dots}/>",
            escaped(colour)
        );
    }

    fn paint(&self, context: &CanvasRenderingContext2d) {
        let Stroke { points, colour, width, opacity, dotted } = self;
        context.begin_path();
        for (x, y) in points {
            context.line_to(f64::from(*x), f64::from(*y));
        }
        context.set_stroke_style_str(colour);
        context.set_line_width(f64::from(*width));
        context.set_line_join("round");
        context.set_line_cap("round");
        let dots = if *dotted { js_sys::Array::of2(&2.into(), &4.into()) } else { js_sys::Array::new() };
        let _ = context.set_line_dash(&dots);
        context.set_global_alpha(f64::from(*opacity));
        context.stroke();
        context.set_global_alpha(1.0);
        let _ = context.set_line_dash(&js_sys::Array::new());
    }
}
