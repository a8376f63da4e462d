//! Where a thread is on the map, and what lies around it.
//!
//! A map is cut into blocks of pixels, one for each thread. A convolution of a block needs one row and one column more
//! on each side; which of these are on the map is known here, or by the thread when it runs.

use std::fmt::Write as _;

/// Whether a row or column is on the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    Always,
    Never,
    /// Where that condition holds.
    If(String),
}

impl On {
    /// Both. Without a branch, which `&&` would be.
    pub fn and(&self, other: &On) -> On {
        match (self, other) {
            (On::Never, _) | (_, On::Never) => On::Never,
            (On::Always, on) | (on, On::Always) => on.clone(),
            (On::If(a), On::If(b)) => On::If(format!("({a}) & ({b})")),
        }
    }

    /// `value` where it is on the map, else `zero`; `None` where it never is.
    pub fn pick(&self, zero: &str, value: &str) -> Option<String> {
        match self {
            On::Always => Some(value.into()),
            On::Never => None,
            On::If(condition) => Some(format!("select({zero}, {value}, {condition})")),
        }
    }

    /// `statements` where it is on the map.
    pub fn guard(&self, statements: &str) -> String {
        match self {
            On::Always => statements.into(),
            On::Never => String::new(),
            On::If(condition) => format!("if ({condition}) {{\n{statements}}}\n"),
        }
    }
}

/// Where a thread is, from its number `at`: which of so many groups of channels it makes, named as told, its block
/// `by`, `bx`, and the `first` of its images. Behind the last of `images` there is nothing to do.
pub fn thread(channels: (char, u32), [rows, columns]: [Axis; 2], images: u32) -> String {
    let (name, groups) = channels;
    format!(
        "let {name} = at % {groups}u;
let bx = at / {groups}u % {}u;
let by = at / {}u % {}u;
let first = at / {}u * {images}u;
if (first >= images) {{ return; }}
",
        columns.blocks,
        groups * columns.blocks,
        rows.blocks,
        groups * columns.blocks * rows.blocks,
    )
}

/// Rows or columns of a map in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// `y` or `x`; the block's number on it is `by` or `bx`.
    pub name: char,
    /// How many there are.
    pub len: u32,
    /// How many a block has.
    pub block: u32,
    /// Blocks.
    pub blocks: u32,
}

impl Axis {
    /// All of `len`, in blocks of so many.
    pub fn whole(name: char, len: u32, block: u32) -> Self {
        Self { name, len, block, blocks: len.div_ceil(block) }
    }

    /// The pairs of `len` that are pooled: a last odd one is in none.
    pub fn pairs(name: char, len: u32) -> Self {
        Self { name, len, block: 2, blocks: len / 2 }
    }

    /// Whether the row or column `offset` behind a block's first one is on the map.
    fn on(&self, offset: i32) -> On {
        let Self { name, len, block, blocks } = self;
        let last = (blocks - 1) as i32 * *block as i32 + offset;
        let inside = |at: i32| (0..*len as i32).contains(&at);
        match (inside(offset), inside(last)) {
            (true, true) => On::Always,
            (false, false) => On::Never,
            (false, true) => On::If(format!("b{name} > 0u")),
            (true, false) => On::If(format!("b{name} * {block}u + {offset}u < {len}u")),
        }
    }

    /// The block's own.
    pub fn own(&self) -> Vec<On> {
        (0..self.block as i32).map(|offset| self.on(offset)).collect()
    }

    /// The block's own and one more on each side. Declares for each its place on the map, `y0`, `y1` …, on it in any
    /// case; from these, each times `scale`, what is loaded is found.
    pub fn around(&self, body: &mut String, scale: u32) -> Vec<On> {
        let Self { name, len, block, .. } = self;
        (0..block + 2)
            .map(|at| {
                let place = format!("i32(b{name} * {block}u) + {}", at as i32 - 1);
                let _ = writeln!(body, "let {name}{at} = u32(clamp({place}, 0, {})) * {scale}u;", len - 1);
                self.on(at as i32 - 1)
            })
            .collect()
    }
}
