"""The training core: it imports torch, torchvision, numpy and safetensors only, and reads and writes no project files."""
