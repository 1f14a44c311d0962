"""strop's side with gradients in two passes."""

from protocol import serve
from strop_side import load

if __name__ == "__main__":
    serve(lambda folder: load(folder, gradients="two_pass"), ("strop", "torch", "transformers"))
