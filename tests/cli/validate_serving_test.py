"""foretoken validate serving with files of the user's own."""
import json
import unittest

from harness import CliTest

HEAD = ("id,source,model,gpu,engine,engine_version,precision,gemm_dtype,moe_dtype,input_tokens,"
        "output_tokens,concurrency,tp,pp,attention_dp,moe_tp,moe_ep,ttft_ms,tpot_ms\n")
GOOD = "good,inferencex,Llama-3.1-8B,h100_sxm,vllm,0.19.0,bf16,,,512,64,4,1,1,,1,1,60,8\n"
# A small model that no catalogue has.
CONFIG = {"architectures": ["LlamaForCausalLM"], "hidden_size": 1024, "intermediate_size": 4096,
          "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 4,
          "vocab_size": 32000, "max_position_embeddings": 4096, "torch_dtype": "bfloat16"}


class ValidateServing(CliTest):
    def validate(self, rows, *arguments):
        file = self.write("runs.csv", HEAD + rows)
        return self.run_it("validate", "serving", "--data", file, *arguments)

    def test_a_row_is_predicted_and_one_that_cannot_be_is_refused_with_its_reason(self):
        rows = GOOD + GOOD.replace("good", "odd").replace("Llama-3.1-8B", "Unheard-Of-9B")
        answer = self.validate(rows, "--json", "--out", "errors")
        self.assertEqual(answer.code, 0, answer.err)
        result = answer.json()
        self.assertEqual((result["rows"], result["predicted"]), (2, 1))
        self.assertEqual([r["id"] for r in result["refused"]], ["odd"])
        self.assertIn("Unheard-Of-9B", result["refused"][0]["reason"])
        self.assertEqual(result["metrics"]["tpot"]["n"], 1)
        self.assertNotIn("peer", result)
        lines = (self.folder / "errors" / "predictions.csv").read_text().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[1].startswith("good,"))

    def test_a_model_of_the_users_own_comes_from_config_dir(self):
        (self.folder / "configs" / "org--Own-1B").mkdir(parents=True)
        (self.folder / "configs" / "org--Own-1B" / "config.json").write_text(json.dumps(CONFIG))
        row = GOOD.replace("Llama-3.1-8B", "org/Own-1B-Instruct")
        answer = self.validate(row, "--config-dir", "configs", "--json")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertEqual(answer.json()["predicted"], 1)

    def test_bad_files(self):
        self.expect(self.run_it("validate", "serving", "--data", "nowhere.csv"), 3, "nowhere.csv")
        self.expect(self.validate(""), 3, "no rows")
        self.expect(self.validate(GOOD, "--config-dir", "nowhere"), 3, "nowhere")
        file = self.write("short.csv", "id,source\na,b\n")
        self.expect(self.run_it("validate", "serving", "--data", file), 3, "short.csv:1", "model")
        self.expect(self.validate(GOOD.replace("Llama-3.1-8B", "X")), 3, "no row could be predicted")

    def test_an_error_gate(self):
        self.expect(self.validate(GOOD, "--max-mape", "0.001"), 5, "--max-mape")


if __name__ == "__main__":
    unittest.main()
