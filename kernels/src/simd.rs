//! Four floats at once: the width that WebAssembly's `simd128` has. Natively the same operations in the same order, so
//! that a result is the same bit for bit in the browser and outside of it; no fused multiply-add for that reason.
//!
//! Loads and stores go through raw pointers: the kernels' inner loops can't afford a bounds check a load. Each caller
//! says why its pointers are good.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32 as arch;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64 as arch;

#[cfg(target_arch = "wasm32")]
type Lanes = arch::v128;
#[cfg(target_arch = "x86_64")]
type Lanes = arch::__m128;
#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
type Lanes = [f32; 4];

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub struct F4(Lanes);

#[cfg(target_arch = "wasm32")]
impl F4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self(arch::f32x4_splat(value))
    }

    /// # Safety
    /// Four floats can be read at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises; v128.load takes any alignment.
        Self(unsafe { arch::v128_load(from.cast()) })
    }

    /// # Safety
    /// Four floats can be written at `to`.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises; v128.store takes any alignment.
        unsafe { arch::v128_store(to.cast(), self.0) }
    }

    /// # Safety
    /// One float can be read at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { arch::v128_load32_splat(from.cast()) })
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(arch::f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(arch::f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(arch::f32x4_mul(self.0, other.0))
    }

    /// Small whole numbers as bytes.
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; 4] {
        let whole = arch::i32x4_trunc_sat_f32x4(self.0);
        let narrow = arch::i16x8_narrow_i32x4(whole, whole);
        arch::i32x4_extract_lane::<0>(arch::u8x16_narrow_i16x8(narrow, narrow)).to_le_bytes()
    }

    /// Lane by lane: whether this one is greater, or no number.
    #[inline(always)]
    pub fn wins_over(self, other: Self) -> Mask {
        Mask(arch::v128_or(arch::f32x4_gt(self.0, other.0), arch::f32x4_ne(self.0, self.0)))
    }

    /// Lane by lane: whether this one is at most the other.
    #[inline(always)]
    pub fn at_most(self, other: Self) -> Mask {
        Mask(arch::f32x4_le(self.0, other.0))
    }

    /// Lane by lane: `yes` where the mask is set.
    #[inline(always)]
    pub fn choose(mask: Mask, yes: Self, no: Self) -> Self {
        Self(arch::v128_bitselect(yes.0, no.0, mask.0))
    }
}

#[cfg(target_arch = "x86_64")]
impl F4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        // SAFETY: SSE2 belongs to every x86-64.
        Self(unsafe { arch::_mm_set1_ps(value) })
    }

    /// # Safety
    /// Four floats can be read at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises; an unaligned load.
        Self(unsafe { arch::_mm_loadu_ps(from) })
    }

    /// # Safety
    /// Four floats can be written at `to`.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises; an unaligned store.
        unsafe { arch::_mm_storeu_ps(to, self.0) }
    }

    /// # Safety
    /// One float can be read at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { arch::_mm_load1_ps(from) })
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: SSE2 belongs to every x86-64; and so below.
        Self(unsafe { arch::_mm_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_mul_ps(self.0, other.0) })
    }

    /// Small whole numbers as bytes.
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; 4] {
        // SAFETY: as above.
        unsafe {
            let whole = arch::_mm_cvttps_epi32(self.0);
            let narrow = arch::_mm_packs_epi32(whole, whole);
            arch::_mm_cvtsi128_si32(arch::_mm_packus_epi16(narrow, narrow)).to_le_bytes()
        }
    }

    /// Lane by lane: whether this one is greater, or no number.
    #[inline(always)]
    pub fn wins_over(self, other: Self) -> Mask {
        // SAFETY: as above.
        Mask(unsafe { arch::_mm_or_ps(arch::_mm_cmpgt_ps(self.0, other.0), arch::_mm_cmpunord_ps(self.0, self.0)) })
    }

    /// Lane by lane: whether this one is at most the other.
    #[inline(always)]
    pub fn at_most(self, other: Self) -> Mask {
        // SAFETY: as above.
        Mask(unsafe { arch::_mm_cmple_ps(self.0, other.0) })
    }

    /// Lane by lane: `yes` where the mask is set.
    #[inline(always)]
    pub fn choose(mask: Mask, yes: Self, no: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_or_ps(arch::_mm_and_ps(mask.0, yes.0), arch::_mm_andnot_ps(mask.0, no.0)) })
    }
}

#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
impl F4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    /// # Safety
    /// Four floats can be read at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    /// # Safety
    /// Four floats can be written at `to`.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    /// # Safety
    /// One float can be read at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self::splat(unsafe { from.read() })
    }

    #[inline(always)]
    fn each(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        Self(core::array::from_fn(|lane| op(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }

    /// Small whole numbers as bytes.
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; 4] {
        self.0.map(|number| number as u8)
    }

    /// Lane by lane: whether this one is greater, or no number.
    #[inline(always)]
    pub fn wins_over(self, other: Self) -> Mask {
        Mask(self.each(other, |a, b| f32::from(u8::from(a > b || a.is_nan()))).0)
    }

    /// Lane by lane: whether this one is at most the other.
    #[inline(always)]
    pub fn at_most(self, other: Self) -> Mask {
        Mask(self.each(other, |a, b| f32::from(u8::from(a <= b))).0)
    }

    /// Lane by lane: `yes` where the mask is set.
    #[inline(always)]
    pub fn choose(mask: Mask, yes: Self, no: Self) -> Self {
        Self(core::array::from_fn(|lane| if mask.0[lane] != 0.0 { yes.0[lane] } else { no.0[lane] }))
    }
}

/// What a comparison of two [`F4`] answers.
#[derive(Debug, Clone, Copy)]
pub struct Mask(Lanes);

impl F4 {
    /// Zeros.
    #[inline(always)]
    pub fn zero() -> Self {
        Self::splat(0.0)
    }

    /// `self + a × b`, rounded twice.
    #[inline(always)]
    pub fn add_product(self, a: Self, b: Self) -> Self {
        self.plus(a.times(b))
    }

    /// The four numbers.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut lanes = [0.0; 4];
        // SAFETY: the array has room for four.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes
    }
}

impl core::ops::Add for F4 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}

impl core::ops::Sub for F4 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.minus(other)
    }
}

impl core::ops::Mul for F4 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.times(other)
    }
}
