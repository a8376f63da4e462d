//! The device that runs the network: opening it, and the one way to read from it. Knows tensors and no network.
//!
//! Reads are asynchronous everywhere: a browser can't wait for the GPU, and the CPU answers at once. Clippy forbids
//! burn's synchronous reads (clippy.toml).

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Device, Tensor, Transaction};

use crate::protocol::DeviceKind;

/// The device stopped answering. Nothing on it can be read any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceLost(pub String);

/// Reads flat tensors in one go.
///
/// # Errors
/// The device was lost, or a kernel on it failed.
pub async fn read(tensors: Vec<Tensor<1>>) -> Result<Vec<Vec<f32>>, DeviceLost> {
    let transaction = tensors.into_iter().fold(Transaction::default(), Transaction::register);
    let data = transaction.execute_async().await.map_err(|error| DeviceLost(format!("{error:?}")))?;
    data.into_iter()
        .map(|data| {
            data.try_into_vec::<f32>().map_err(|error| DeviceLost(format!("a read of another type: {error:?}")))
        })
        .collect()
}

/// Reads flat tensors into one array, one behind the other. On the CPU what others hold too is copied once, not thrice.
///
/// # Errors
/// As [`read`].
pub async fn read_flat(tensors: Vec<Tensor<1>>) -> Result<Vec<f32>, DeviceLost> {
    let Some(here) = tensors.iter().map(on_cpu).collect::<Option<Vec<_>>>() else {
        return Ok(read(tensors).await?.concat());
    };
    let values: Option<Vec<&[f32]>> = here.iter().map(FloatTensor::<Flex>::as_slice).collect();
    values.map(|values| values.concat()).ok_or_else(|| DeviceLost("a read of another type".into()))
}

/// A tensor in one piece, if it lies on the CPU: `as_slice` borrows its floats.
pub fn on_cpu(tensor: &Tensor<1>) -> Option<FloatTensor<Flex>> {
    Some(tensor.clone().try_into_primitive::<Flex>().ok()?.to_contiguous())
}

/// An open device and what a page says of it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// For burn.
    pub device: Device,
    /// CPU or WebGPU.
    pub kind: DeviceKind,
    /// The adapter's name; empty for the CPU.
    pub name: String,
}

impl Opened {
    /// burn's CPU backend.
    pub fn cpu() -> Self {
        Self { device: Device::flex(), kind: DeviceKind::Cpu, name: String::new() }
    }
}

/// Opens the default GPU through WebGPU (natively: Vulkan, Metal or DirectX).
///
/// # Errors
/// No adapter, or it refused a device; in the words of wgpu.
#[cfg(feature = "gpu")]
pub async fn open_gpu() -> Result<Opened, String> {
    use burn_cubecl::cubecl::wgpu::wgpu::DeviceType;
    use burn_wgpu::WgpuSetup;

    let (device, setup) =
        Device::wgpu_options().tasks_max(64).init_with_setup_async().await.map_err(|error| error.to_string())?;
    let WgpuSetup { adapter, .. } = setup;
    let info = adapter.get_info();
    crate::model::set_emulated(info.device_type == DeviceType::Cpu);
    Ok(Opened { device, kind: DeviceKind::WebGpu, name: info.name })
}
