//! What a training step costs without a browser, on the CPU and on whatever GPU there is. `cargo xtask bench --native`
//! builds and runs it, with the folder of the four unpacked IDX files.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("`cargo xtask bench --native` runs this with the digits.");
        return std::process::ExitCode::FAILURE;
    };
    match pollster::block_on(native::bench(folder.as_ref())) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::error::Error;
    use std::path::Path;
    use std::time::Instant;

    use kiln::data::augment::Changes;
    use kiln::data::order::epoch_order;
    use kiln::data::{Images, idx};
    use kiln::device::{Opened, open_gpu, read};
    use kiln::model::Network;
    use kiln::training::RunConfig;
    use kiln::training::trainer::Trainer;

    /// Steps that are measured, and those before.
    const STEPS: usize = 30;
    const WARM_UP: usize = 10;

    /// Trains the usual network on each device and prints a table.
    pub async fn bench(folder: &Path) -> Result<(), Box<dyn Error>> {
        let file = |name: &str| std::fs::read(folder.join(name));
        let images = idx::parse(&file("train-images-idx3-ubyte")?, &file("train-labels-idx1-ubyte")?)?;
        let mut devices = vec![Opened::cpu()];
        match open_gpu().await {
            Ok(gpu) => devices.push(gpu),
            Err(why) => eprintln!("NOT MEASURED: there is no GPU here: {why}"),
        }
        println!("| | batch | images/s | ms a step | first loss | last loss |\n|---|---|---|---|---|---|");
        for device in &devices {
            let name = if device.name.is_empty() { "CPU, one thread" } else { &device.name };
            for batch in [128, 8] {
                let (losses, mut times) = train(device, &images, batch).await?;
                times.sort_by(f64::total_cmp);
                let seconds = times[times.len() / 2];
                println!(
                    "| {name} | {batch} | {:.0} | {:.2} | {:.5} | {:.5} |",
                    batch as f64 / seconds,
                    1e3 * seconds,
                    losses[0],
                    losses[losses.len() - 1],
                );
            }
        }
        Ok(())
    }

    /// All steps' losses, and the seconds that those took that count.
    async fn train(device: &Opened, images: &Images, batch: usize) -> Result<(Vec<f32>, Vec<f64>), Box<dyn Error>> {
        let config = RunConfig { train_size: images.labels.len() as u32, ..RunConfig::default() };
        let network = Network::new(&config.network, 1, &device.device.clone().autodiff())?;
        let mut trainer = Trainer::new(network, &config, &device.device);
        let order = epoch_order(1, 0, images.labels.len(), 0);
        let (mut losses, mut times) = (Vec::new(), Vec::new());
        for indices in order.chunks_exact(batch).take(WARM_UP + STEPS) {
            let started = Instant::now();
            let batch = trainer.batch(images, indices, |_| Changes::default());
            let metrics = trainer.step(batch, config.learning_rate);
            losses.push(read(vec![metrics]).await?[0][0]);
            times.push(started.elapsed().as_secs_f64());
        }
        Ok((losses, times.split_off(WARM_UP)))
    }
}
