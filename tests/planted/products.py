"""Defects of convolutions by fewer products, and of packed layers."""

from __future__ import annotations

from planted.defect import of

_FEWER = "tests/fast/test_fewer_products.py"
_PACKED = "tests/inference/test_packed.py"

_tiles = of("fast/winograd.py", _FEWER)
_double = of("fast/doubling.py", _FEWER)
_halve = of("fast/halving.py", _FEWER)
_form = of("fast/convolutions.py", _FEWER)
_layers = of("networks/layers.py", _FEWER)
_pack = of("inference/packed.py", _PACKED)
_fold = of("inference/fold.py", _PACKED)
_enlarge = of("systems/stackgan/modern.py", "tests/networks/test_networks.py")

_SAME = "test_values_and_gradients_are_the_plain_ones"
_EXACT = "test_kernels_are_made_in_float32_whatever_the_surrounding_precision"
_ROUND = "test_in_bfloat16_rounding_is_at_most_four_times_the_plain_one"
_ONLY = "test_only_many_maps_in_bfloat16_take_the_way_of_fewer_products"
_WHOLE = "test_tiles_must_be_whole"
_STORED = "test_a_stored_weight_has_its_gradient_stored_alike"
_NETWORKS = "test_packed_networks_are_the_folded_ones"
_ADDED = "test_what_is_added_is_added_before_relu"
_WITHOUT = "test_where_there_is_no_onednn_networks_stay_and_draw_the_same"
_WAYS = "test_many_maps_in_bfloat16_alone_go_by_tiles"
_LARGE = "test_the_enlarged_sketch_is_the_bicubic_one"

DEFECTS = [
    _tiles(
        "_MIRRORED = (3, 1, 2, 0)",
        "_MIRRORED = (0, 1, 2, 3)",
        "the way back turns the kernel around",
        _SAME,
    ),
    _tiles("[0.5, -0.5, 0.5]", "[0.5, 0.5, -0.5]", "a kernel's third place alternates", _SAME),
    _tiles(
        "torch.sub(line[2], line[1], out=out[places[2]])",
        "torch.sub(line[1], line[2], out=out[places[2]])",
        "a tile's third place",
        _SAME,
    ),
    _tiles(
        "torch.neg(second, out=out[3])",
        "out[3].copy_(second)",
        "the fourth place counts against the second result",
        _SAME,
    ),
    _tiles(
        "with in_own_precision(weight.device.type):",
        "if True:",
        "kernels of tiles are made in float32",
        _EXACT,
    ),
    _tiles(
        "if torch.is_grad_enabled():",
        "if False:",
        "tiles' gradient has none",
        "test_the_gradient_has_no_gradient",
    ),
    _tiles(
        ">= MAPS and precision(input) == torch.bfloat16",
        ">= MAPS",
        "float32 goes the plain way",
        _ONLY,
    ),
    _form(
        "whole = input.shape[2] % 2 == input.shape[3] % 2 == 0",
        "whole = True",
        "odd sides have no tiles",
        _WHOLE,
    ),
    _layers(
        "return self.plain(input) if self.literal else conv3x3(",
        "return conv3x3(",
        "literally no tiles",
        _ONLY,
    ),
    _tiles(
        "min(weight.shape[:2]) >= MAPS and",
        "min(weight.shape[:2]) >= MAPS - 1 and",
        "few maps go the plain way",
        _ONLY,
    ),
    _tiles(
        "return result if bias is None else result + bias",
        "return result if True else bias",
        "a bias is added to tiles",
        "test_a_layer_s_bias_is_added",
    ),
    _tiles(
        "= _kernel_map(input.device, dtype).t() @ places",
        "= _kernel_map(input.device, dtype).flip(0).t() @ places",
        "a weight's gradient knows its places",
        _SAME,
    ),
    _tiles(
        "of_weight = back.view(len(back), 3, 3, -1).permute(0, 3, 1, 2)",
        "of_weight = back.view(len(back), 3, 3, -1).permute(0, 3, 1, 2).contiguous()",
        "a gradient lies like its weight",
        _STORED,
    ),
    _double("[1.0, 1.0, 1.0]", "[0.0, 1.0, 0.0]", "the middle product has all taps", _SAME),
    _double(
        "torch.neg(x.narrow(axis, place, 1), out=side.narrow(axis, place, 1))",
        "side.narrow(axis, place, 1).zero_()",
        "beyond the border is zero",
        _SAME,
    ),
    _double(
        "result: Tensor = (middle - before).sub_(after)",
        "result: Tensor = middle - before",
        "both differences look back at the place",
        _SAME,
    ),
    _double(
        "torch.add(line[column], line[column + 1], out=maps[:, :, row, :, column])",
        "torch.add(line[0], line[1], out=maps[:, :, row, :, column])",
        "two results differ",
        _SAME,
    ),
    _double(
        "(even, even + odd, odd)",
        "(even, odd, even + odd)",
        "the middle product serves both results",
        _SAME,
    ),
    _double(
        "with in_own_precision(weight.device.type):",
        "if True:",
        "kernels of doubled maps are made in float32",
        _EXACT,
    ),
    _double(
        "return min(weight.shape[:2]) >= MAPS and",
        "return",
        "few maps are doubled the usual way",
        _ONLY,
    ),
    _form(
        "if form == NINE and bias is None:",
        "if False:",
        "many maps are doubled by fewer products",
        _ONLY,
    ),
    _halve(
        "torch.sub(last, middle, out=out[2])",
        "torch.sub(last, first, out=out[2])",
        "the third product reads the last place",
        _SAME,
    ),
    _halve("at_middle.sub_(last)", "pass", "both outer products look back at the middle", _SAME),
    _halve("at_last.add_(last)", "at_last.copy_(last)", "neighbouring tiles share a line", _SAME),
    _halve(
        "zip((first, first + second, second), places",
        "zip((first, second, first + second), places",
        "the middle kernel is the sum",
        _SAME,
    ),
    _halve(
        "line = places[row].to(dtype) + places[row + 1]",
        "line = places[row].to(dtype)",
        "a tap's gradient comes from both of its places",
        _SAME,
    ),
    _halve("input.shape[2] % 4 == 0 and", "", "halving needs whole tiles", _WHOLE),
    _halve(
        "and enough and precision(input) == torch.bfloat16",
        "and enough",
        "float32 is halved the plain way",
        _ONLY,
    ),
    _halve(
        "return many and enough and",
        "return many and",
        "few tiles are halved the plain way",
        "test_few_tiles_are_halved_the_plain_way",
    ),
    _form(
        "halves = (kernel, stride, padding) == (4, 2, 1) and",
        "halves = kernel == 4 and",
        "halving is of one form",
        "test_halving_is_of_one_form",
    ),
    _form(
        "if form == NINE and halves:",
        "if False:",
        "many maps are halved by fewer products",
        _ONLY,
    ),
    _form(
        "joined = conv3x3(input, weight[:, :features], bias)",
        "joined = F.conv2d(input, weight[:, :features], bias, padding=1)",
        "the join of many maps goes by tiles",
        _ONLY,
    ),
    _form(
        "return winograd.convolve(input, weight, bias)",
        "return winograd.convolve(input, 0 * weight, bias)",
        "the join by tiles reads its maps",
        "test_layers_of_many_maps_are_the_plain_ones",
    ),
    _pack(
        "result = ops._convolution_pointwise.binary(\n                input, addend,",
        "result = ops._convolution_pointwise.binary(\n                input, 0 * addend,",
        "a packed block keeps its skip",
        _NETWORKS,
        _ADDED,
    ),
    _pack(
        'last = "relu" if self.relu else None', "last = None", "a packed block ends in ReLU", _ADDED
    ),
    _pack("result += addend", "pass", "tiles add what is to be added", _ADDED),
    _pack(
        "return result.relu_() if self.relu else result\n\n\nclass PackedColours",
        "return result.relu_()\n\n\nclass PackedColours",
        "tiles end in ReLU where asked",
        _ADDED,
    ),
    _pack("result += self.bias.view(-1, 1, 1)", "pass", "packed tiles have their bias", _ADDED),
    _pack(
        "shifted = [F.pad(layer.weight.data, (k, side - 1 - k)) for k in range(side)]",
        "shifted = [F.pad(layer.weight.data, (0, side - 1)) for k in range(side)]",
        "four pixels differ",
        "test_colours_are_those_of_the_convolution",
    ),
    _pack(
        "bias.repeat(side)",
        "bias.repeat_interleave(side)",
        "each colour has its bias",
        "test_colours_are_those_of_the_convolution",
    ),
    _pack(
        "result.add_(self.bias.view(-1, 1, 1))",
        "result",
        "the first up-sampling has its bias",
        "test_the_first_up_sampling_is_the_transposed_convolution",
    ),
    _pack(
        "kernel = layer.weight.data.permute(2, 3, 1, 0)",
        "kernel = layer.weight.data.permute(3, 2, 1, 0)",
        "the first up-sampling keeps rows and columns apart",
        "test_the_first_up_sampling_is_the_transposed_convolution",
    ),
    _pack(
        "return PackedResidual(part) if is_folded(part) else None",
        "return PackedResidual(part)",
        "what is not folded is not packed away",
        "test_a_block_that_is_not_folded_keeps_its_normalisation",
    ),
    _pack(
        "    if not can_pack():\n        return network\n",
        "",
        "without oneDNN networks stay",
        _WITHOUT,
    ),
    _pack("if bf16 and min(", "if min(", "float32 is packed the plain way", _WAYS),
    _pack(
        ">= WINOGRAD_MAPS and _is_plain_3x3(layer)",
        ">= WINOGRAD_MAPS - 8 and _is_plain_3x3(layer)",
        "few maps are packed the plain way",
        _WAYS,
    ),
    _pack(
        "if layer.codes:",
        "if True:",
        "a join without a code is packed",
        "test_a_join_without_a_code_is_packed",
    ),
    _pack(
        "addend = spread_taps(self.taps(code), 3, input.shape[2:])",
        "addend = spread_taps(0 * self.taps(code), 3, input.shape[2:])",
        "the packed join reads its code",
        _NETWORKS,
    ),
    _fold(
        "if isinstance(self.layer, nn.Linear):\n            return True",
        "pass",
        "matrix products know the batch",
        _WITHOUT,
    ),
    _enlarge(
        "torch.kron(line[0, 0], torch.eye(colours))",
        "torch.kron(torch.eye(colours), line[0, 0])",
        "colours stay apart when enlarged",
        _LARGE,
    ),
    _enlarge(
        "whole = _enlarging(height, size_px, 1, images.device) @ lines",
        "whole = lines.repeat_interleave(size_px // height, 1)",
        "rows are enlarged smoothly",
        _LARGE,
    ),
]
