//! Forward: a thread makes one block of the map before the pool, for several images and channels, and stores of each
//! window its maximum and which of its pixels that was.

use std::fmt::Write as _;

use super::place::{self, Axis, On};
use super::{OFF, Shape, XYZW, element, part, zero};
use crate::model::kernels::gpu::program::{LANES, Program};
use crate::model::kernels::gpu::tile::Tile;

/// The program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forward {
    pub shape: Shape,
    pub tile: Tile,
    /// The output has its channels second.
    pub planar: bool,
}

impl Forward {
    /// Blocks, rows and columns: with a pool, its windows.
    fn blocks(&self) -> [Axis; 2] {
        let Shape { height, width, pool, .. } = self.shape;
        if pool { [Axis::pairs('y', height), Axis::pairs('x', width)] } else { self.shape.blocks() }
    }

    /// Threads for so many images.
    pub fn threads(&self, images: u32) -> u32 {
        let [rows, columns] = self.blocks();
        images.div_ceil(self.tile.images) * rows.blocks * columns.blocks * self.shape.outputs / (4 * self.tile.groups)
    }

    /// Four output channels' weights, of a tap and one of the input channels of group `i`.
    fn weight(&self, tap: u32, channel: u32, group: u32) -> String {
        let Shape { inputs, outputs, .. } = self.shape;
        let Tile { groups, step, .. } = self.tile;
        if inputs == 1 {
            let each = (0..4).map(|at| format!("weights[(o * {}u + {}u) * 9u + {tap}u]", 4 * groups, 4 * group + at));
            format!("vec4f({})", each.collect::<Vec<_>>().join(", "))
        } else {
            format!(
                "weights[({}u + i * {step}u) * {}u + o * {groups}u + {group}u]",
                tap * inputs + channel,
                outputs / 4
            )
        }
    }

    /// Stores four channels of a pixel or window.
    fn store(&self, body: &mut String, image: u32, group: u32, [y, x]: [&str; 2], value: &str) {
        let (rows, columns) = self.shape.output();
        let (outputs, groups) = (self.shape.outputs, self.tile.groups);
        if self.planar {
            let _ = writeln!(body, "{{ let value = {value};");
            for (at, part) in (0..).zip(XYZW) {
                let _ = writeln!(
                    body,
                    "output[(((first + {image}u) * {outputs}u + o * {}u + {}u) * {rows}u + {y}) * {columns}u + {x}] = value.{part};",
                    4 * groups,
                    4 * group + at
                );
            }
            body.push_str("}\n");
        } else {
            let _ = writeln!(
                body,
                "output[(((first + {image}u) * {rows}u + {y}) * {columns}u + {x}) * {}u + o * {groups}u + {group}u] = {value};",
                outputs / 4
            );
        }
    }

    /// Of a window's four sums the largest, and which it is.
    fn store_winner(&self, body: &mut String, image: u32, group: u32) {
        let ((rows, columns), groups) = (self.shape.output(), self.tile.groups);
        let _ = writeln!(body, "{{ var best = sum{image}_0_{group} + bias{group}; var winner = vec4u();");
        for pixel in 1..4 {
            let _ = writeln!(
                body,
                "{{ let other = sum{image}_{pixel}_{group} + bias{group}; let more = other > best;
best = select(best, other, more); winner = select(winner, vec4u({pixel}u), more); }}"
            );
        }
        let _ = writeln!(
            body,
            "winner = select(vec4u({OFF}u), winner, best > vec4f());
winners[(((first + {image}u) * {rows}u + by) * {columns}u + bx) * {}u + o * {groups}u + {group}u] = winner.x | (winner.y << 8u) | (winner.z << 16u) | (winner.w << 24u);",
            self.shape.outputs / 4
        );
        self.store(body, image, group, ["by", "bx"], "max(best, vec4f())");
        body.push_str("}\n");
    }
}

impl Program for Forward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let weights = if self.shape.inputs == 1 { "f32" } else { "vec4f" };
        let output = if self.planar { "f32" } else { "vec4f" };
        let mut buffers =
            vec![("input", element(self.tile.step)), ("weights", weights), ("bias", "vec4f"), ("output", output)];
        if self.shape.pool {
            buffers.push(("winners", "u32"));
        }
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["output", "winners"]
    }

    fn body(&self) -> String {
        let Shape { height, width, inputs, outputs, pool } = self.shape;
        let Tile { images, groups, step } = self.tile;
        let [rows, columns] = self.blocks();
        let made = outputs / (4 * groups);
        let mut body = format!("let images = info[0];\nlet at = group * {LANES}u + lane;\n");
        body += &place::thread(('o', made), [rows, columns], images);
        let in_y = rows.around(&mut body, width);
        let in_x = columns.around(&mut body, 1);
        let pixels: Vec<(u32, u32)> = (0..rows.block).flat_map(|y| (0..columns.block).map(move |x| (y, x))).collect();
        for image in 0..images {
            let size = height * width * inputs / step;
            let _ = writeln!(body, "let image{image} = min(first + {image}u, images - 1u) * {size}u;");
            for pixel in 0..pixels.len() {
                for group in 0..groups {
                    let _ = writeln!(body, "var sum{image}_{pixel}_{group} = vec4f();");
                }
            }
        }
        let _ = writeln!(body, "for (var i = 0u; i < {}u; i++) {{", inputs / step);
        for tap in 0..9 {
            for channel in 0..step {
                for group in 0..groups {
                    let _ = writeln!(body, "let w{tap}_{channel}_{group} = {};", self.weight(tap, channel, group));
                }
            }
        }
        for image in 0..images {
            body.push_str("{\n");
            for (r, in_y) in in_y.iter().enumerate() {
                for (c, in_x) in in_x.iter().enumerate() {
                    let value = format!("input[image{image} + (y{r} + x{c}) * {}u + i]", inputs / step);
                    if let Some(value) = in_y.and(in_x).pick(zero(step), &value) {
                        let _ = writeln!(body, "let p{r}_{c} = {value};");
                    }
                }
            }
            for (pixel, &(y, x)) in pixels.iter().enumerate() {
                for group in 0..groups {
                    for tap in 0..9 {
                        let (r, c) = (y + tap / 3, x + tap % 3);
                        if in_y[r as usize].and(&in_x[c as usize]) == On::Never {
                            continue;
                        }
                        for channel in 0..step {
                            let value = part(&format!("p{r}_{c}"), channel, step);
                            let _ = writeln!(body, "sum{image}_{pixel}_{group} += {value} * w{tap}_{channel}_{group};");
                        }
                    }
                }
            }
            body.push_str("}\n");
        }
        body.push_str("}\n");
        for group in 0..groups {
            let _ = writeln!(body, "let bias{group} = bias[o * {groups}u + {group}u];");
        }
        let (own_y, own_x) = (rows.own(), columns.own());
        for image in 0..images {
            let _ = writeln!(body, "if (first + {image}u < images) {{");
            for group in 0..groups {
                if pool {
                    self.store_winner(&mut body, image, group);
                    continue;
                }
                for (pixel, &(y, x)) in pixels.iter().enumerate() {
                    let place = [format!("(by * {}u + {y}u)", rows.block), format!("(bx * {}u + {x}u)", columns.block)];
                    let value = format!("max(sum{image}_{pixel}_{group} + bias{group}, vec4f())");
                    let mut store = String::new();
                    self.store(&mut store, image, group, [&place[0], &place[1]], &value);
                    body.push_str(&own_y[y as usize].and(&own_x[x as usize]).guard(&store));
                }
            }
            body.push_str("}\n");
        }
        body
    }
}
