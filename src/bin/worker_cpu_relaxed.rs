//! The engine's binary without GPU code, for browsers that have relaxed SIMD: `worker_cpu`
//! with kernels that multiply and add in one instruction.

#[cfg(target_arch = "wasm32")]
fn main() {
    kiln::worker::call_constructors();
    kiln::worker::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This binary is a browser's worker. `cargo xtask serve` shows the page that starts it.");
}
