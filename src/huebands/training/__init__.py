"""The training core: it imports torch, torchvision, numpy and safetensors only, and touches no project files."""
