"""Published char-CNN-RNNs become our encoder and embed as they did."""

import numpy as np
import pytest
import torch

from stackgan.errors import DataError, ModelError
from stackgan.legacy.char_cnn_rnn import read_encoder
from stackgan.text import load_encoder
from stackgan.text.char_cnn_rnn import CharCnnRnn

VARIANTS = ["birds_cvpr", "birds_icml", "flowers_cvpr", "flowers_icml"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_four_published_ones_embed_as_recorded(
    variant, published_encoders, draw_weights, tmp_path
):
    shapes, captions, embeddings = published_encoders
    path = tmp_path / f"{variant}.pth"
    old = variant.startswith("birds")
    torch.save(draw_weights(shapes[variant]), path, _use_new_zipfile_serialization=not old)
    encoder = read_encoder(path)
    expected = torch.from_numpy(embeddings[variant])
    torch.testing.assert_close(encoder.encode(captions), expected, rtol=0, atol=1e-5)
    one_by_one = torch.cat([encoder.encode([caption]) for caption in captions])
    torch.testing.assert_close(one_by_one, expected, rtol=0, atol=1e-5)
    again = load_encoder(encoder.save(tmp_path / "folder"))
    assert torch.equal(again.encode(captions), encoder.encode(captions))
    assert (again.name, again.sha256) == (variant, encoder.sha256)
    assert again.notes["imported"].startswith(f"{variant}.pth, sha256 ")


@pytest.mark.parametrize("gru", [False, True])
@pytest.mark.parametrize("ascii_form", [False, True])
def test_a_torch7_net_is_told_by_its_graph(
    gru, ascii_form, small_encoder_state, lua_net, write_t7, tmp_path
):
    state = small_encoder_state(gru)
    path = write_t7(tmp_path / "lm_sje.t7", lua_net(state, gru), ascii_form)
    encoder = read_encoder(path)
    found = encoder.state_dict()
    assert found.keys() == state.keys()
    for key, value in state.items():
        torch.testing.assert_close(found[key], value, rtol=1e-6, atol=1e-8, msg=key)
    expected = CharCnnRnn.from_published(state, "x").encode(["a red bird"])
    torch.testing.assert_close(encoder.encode(["a red bird"]), expected)


def test_a_plain_net_without_a_graph_is_told_by_how_often_its_layers_stand(
    small_encoder_state, lua_net, write_t7, tmp_path
):
    state = small_encoder_state(False)
    found = read_encoder(write_t7(tmp_path / "n.t7", lua_net(state, False, graph=False)))
    assert torch.equal(found.state_dict()["rnn.h2h.weight"], state["rnn.h2h.weight"])


def test_a_gru_without_a_graph_is_refused(small_encoder_state, lua_net, write_t7, tmp_path):
    net = lua_net(small_encoder_state(True), True, graph=False)
    with pytest.raises(ModelError, match=r"n\.t7: its recurrent layers cannot be told apart"):
        read_encoder(write_t7(tmp_path / "n.t7", net))


def test_functions_that_old_modules_carry_are_passed_over(
    small_encoder_state, lua_net, t7, tmp_path
):
    class Writer(t7.Writer):
        """Puts byte code under the field that nn.Module:share sets."""

        def object(self, value):
            if value == "FUNCTION":
                self.int(8)
                self.index(object())
                self.string(b"\x1bLuaQ os.execute('true')")
                return super().object([])
            return super().object(value)

    state = small_encoder_state(False)
    net = lua_net(state, False)
    layer = net["protos"]["enc_doc"].fields["modules"][-1]
    layer.fields["accUpdateGradParameters"] = "FUNCTION"
    path = tmp_path / "n.t7"
    path.write_bytes(b"".join(Writer().object(net).parts))
    assert torch.equal(read_encoder(path).state_dict()["conv1.bias"], state["conv1.bias"])
    layer.fields["forward"] = layer.fields.pop("accUpdateGradParameters")
    path.write_bytes(b"".join(Writer().object(net).parts))
    with pytest.raises(DataError, match=r"n\.t7: it holds a Lua function under forward"):
        read_encoder(path)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "infinite"])
def test_weights_that_make_no_encoder_are_named(fault, small_encoder_state, tmp_path):
    state = small_encoder_state(False)
    if fault == "missing":
        del state["rnn.h2h.bias"]
    elif fault == "unknown":
        state["rnn.h3h.bias"] = torch.zeros(5)
    elif fault == "shape":
        state["rnn.h2h.bias"] = torch.zeros(6)
    else:
        state["rnn.h2h.bias"][0] = np.inf
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match=r"bad\.pth: tensor 'rnn\.h[23]h\.bias'"):
        read_encoder(tmp_path / "bad.pth")


def test_a_net_with_other_layers_is_no_char_cnn_rnn(
    small_encoder_state, lua_net, write_t7, tmp_path
):
    for part, message in [(0, "convolutions of width 4 over 70"), (4, "0 linear layers to the")]:
        net = lua_net(small_encoder_state(False), False)
        del net["protos"]["enc_doc"].fields["modules"][part]
        with pytest.raises(ModelError, match=message):
            read_encoder(write_t7(tmp_path / "n.t7", net))
